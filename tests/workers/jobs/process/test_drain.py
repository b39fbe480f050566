"""The parent process of a worker follows its row: when it stops to listen, and when it ends."""

from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import typer
from sqlalchemy import Engine

from tests.support.builders import push
from workers import store
from workers.cli.main import _seconds
from workers.db.session import make_engine, reading, transaction, upgrade
from workers.jobs.process.drain import QUIET_LOOKS, DrainWatch, LastClaim
from workers.store.jobs import leases

NAME = "host-1"
IDLE_S = 600


@dataclass
class Site:
    """A worker, and what its watch does."""

    database: Engine
    now_s: float = 1_000.0
    claimed_s: float = 0.0
    done: list[str] = field(default_factory=list)

    def watch(self, *, ends: bool = True, idle_s: float | None = None) -> DrainWatch:
        return DrainWatch(
            lambda: self.database,
            NAME,
            listen=lambda wanted: self.done.append("listen" if wanted else "stop listening"),
            end=lambda: self.done.append("end"),
            ends=ends,
            idle_s=idle_s,
            last_claim_s=lambda: self.claimed_s,
            monotonic_s=lambda: self.now_s,
        )

    def drain(self, *, drained: bool = True) -> None:
        with transaction(self.database) as session:
            assert store.set_drained(session, NAME, drained=drained)

    def drained(self) -> bool:
        with reading(self.database) as session:
            return store.is_drained(session, NAME)

    def occupy(self) -> Callable[[], None]:
        """The worker has a job; the function gives it back."""
        with transaction(self.database) as session:
            job = store.queue_run(session, 1, push())
            claim = leases.claim(session, job.job_id, f"{NAME}/7-ab", 60)
            assert claim is not None

        def release() -> None:
            with transaction(self.database) as session:
                leases.release(session, job.job_id, claim.attempt)

        return release


@pytest.fixture
def site(tmp_path: Path) -> Site:
    database = make_engine(f"sqlite:///{tmp_path}/headway.db")
    upgrade(database)
    with transaction(database) as session:
        store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        store.record_heartbeat(session, NAME, {}, 2, 60)
    return Site(database)


def look(watch: DrainWatch, times: int = 1) -> None:
    """Whole looks: each read, and what follows from it."""
    for _ in range(times):
        watch.look()
        assert watch._read is not None
        wait([watch._read])
        watch.look()


def test_a_drained_worker_stops_listening_and_ends_once_its_jobs_have(site: Site) -> None:
    watch, release = site.watch(), site.occupy()
    look(watch)
    assert site.done == []
    site.drain()
    look(watch, 5)
    assert site.done == ["stop listening"]
    release()
    look(watch, QUIET_LOOKS - 1)
    assert site.done == ["stop listening"]
    look(watch, 3)
    assert site.done == ["stop listening", "end"]


def test_a_claim_that_is_seen_late_is_waited_for(site: Site) -> None:
    watch = site.watch()
    site.drain()
    look(watch)
    release = site.occupy()
    look(watch, 3)
    release()
    look(watch)
    assert site.done == ["stop listening"]
    look(watch)
    assert site.done == ["stop listening", "end"]


def test_an_undrained_worker_listens_again(site: Site) -> None:
    watch, _ = site.watch(), site.occupy()
    site.drain()
    look(watch)
    site.drain(drained=False)
    look(watch, 3)
    assert site.done == ["stop listening", "listen"]


def test_a_worker_of_serve_stays(site: Site) -> None:
    watch = site.watch(ends=False)
    site.drain()
    look(watch, 5)
    assert site.done == ["stop listening"]


def test_a_worker_that_was_idle_for_long_drains_itself(site: Site) -> None:
    watch = site.watch(idle_s=IDLE_S)
    look(watch)
    site.now_s += IDLE_S - 1
    look(watch)
    assert not site.drained()
    site.now_s += 1
    look(watch, 3)
    assert site.drained()
    assert site.done == ["stop listening", "end"]


def test_a_job_now_and_one_between_two_looks_begin_the_time_again(site: Site) -> None:
    watch, release = site.watch(idle_s=IDLE_S), site.occupy()
    look(watch)
    site.now_s += 2 * IDLE_S
    look(watch)
    release()
    site.now_s += IDLE_S - 1
    look(watch)
    site.claimed_s = site.now_s
    site.now_s += IDLE_S - 1
    look(watch)
    assert not site.drained()
    site.now_s += 1
    look(watch)
    assert site.drained()


def test_without_the_option_a_worker_waits_for_ever(site: Site) -> None:
    watch = site.watch()
    look(watch)
    site.now_s += 1e9
    look(watch)
    assert not site.drained()


def test_while_the_database_is_away_nothing_happens(site: Site) -> None:
    watch = site.watch()
    away = make_engine("postgresql+psycopg://headway@127.0.0.1:1/none")
    watch.open_database = lambda: away
    watch.__post_init__()
    look(watch, 2)
    assert site.done == []


def test_the_last_claim_is_now() -> None:
    last = LastClaim()
    before = last.at_s()
    last.note()
    assert last.at_s() >= before > 0


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("10m", 600), ("2h", 7_200), ("999999h", 3_599_996_400)])
def test_a_duration(text: str, seconds: float) -> None:
    assert _seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "0m", "-1m", "1.5h", "10 m", "1d", "1000000s", "m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="as in 30s, 10m or 2h"):
        _seconds(text)
