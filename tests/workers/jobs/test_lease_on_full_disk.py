"""A disk that is full: a lease that cannot be written is kept, and a heartbeat is sent as soon as there is room."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from runner.cancellation import Cancel
from tests.support.builders import push
from tests.support.disks import fill
from tests.support.services import eventually
from workers import store
from workers.db.session import make_engine, reading, transaction
from workers.jobs.lease_renewal import LeaseRenewer
from workers.jobs.machine.heartbeat import Heartbeat
from workers.settings import Settings
from workers.store.jobs import leases
from workers.streaming.redis_stream import LiveTail, connect

LEASE_S = 1


@pytest.fixture
def crowded(own_disk: Path, sqlite_template: Path) -> Iterator[Engine]:
    """A database on a small disk, without ballast, with one job."""
    shutil.copy(sqlite_template, own_disk / "headway.db")
    engine = make_engine(f"sqlite:///{own_disk}/headway.db")
    yield engine
    engine.dispose()


def claimed(database: Engine) -> leases.Claim:
    with transaction(database) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        queued = store.queue_run(session, repo.id, push())
        claim = leases.claim(session, queued.job_id, "w1", LEASE_S)
    assert claim is not None
    return claim


def lease(database: Engine) -> int:
    with reading(database) as session:
        return leases.held(session)[0].until_ms


def exhaust(database: Engine, own_disk: Path) -> Path:
    """Fills the disk, and what SQLite's log still has room for."""
    file = fill(own_disk)
    for number in range(2_000):
        try:
            with transaction(database) as session:
                store.bump_counter(session, f"{number:0900}", 1)
        except OperationalError:
            return file
    raise AssertionError("the disk is not full")


@pytest.mark.slow
def test_a_lease_that_the_full_disk_keeps_from_being_written_is_not_lost(
    crowded: Engine, own_disk: Path, settings: Settings
) -> None:
    claim, cancel = claimed(crowded), Cancel()
    redis = connect(settings.redis_url)
    with LeaseRenewer(crowded, LiveTail(redis), claim, "w1", LEASE_S, cancel):
        file = exhaust(crowded, own_disk)
        before = lease(crowded)
        time.sleep(2.5 * LEASE_S)
        assert lease(crowded) == before, "it could not be written"
        assert not cancel
        file.unlink()
        eventually(lambda: lease(crowded) > before, within_s=LEASE_S)
    assert not cancel
    redis.close()
    cancel.close()


def test_on_a_full_disk_a_job_that_has_gone_to_another_worker_is_still_lost(
    crowded: Engine, own_disk: Path, settings: Settings
) -> None:
    claim, cancel = claimed(crowded), Cancel()
    redis = connect(settings.redis_url)
    exhaust(crowded, own_disk)
    with LeaseRenewer(crowded, LiveTail(redis), claim, "w2", LEASE_S, cancel):
        eventually(lambda: cancel.lost, within_s=3)
    redis.close()
    cancel.close()


def test_the_heartbeat_comes_as_soon_as_there_is_room(crowded: Engine, own_disk: Path) -> None:
    claimed(crowded)
    file = exhaust(crowded, own_disk)
    heart = Heartbeat(crowded, "w1", {}, 1, lease_s=600)
    heart.start()
    time.sleep(0.5)
    file.unlink()

    def alive() -> bool:
        with reading(crowded) as session:
            return bool(store.workers(session))

    assert eventually(alive, within_s=3)
    heart.stop()
