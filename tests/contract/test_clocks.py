"""A clock that is set, or is wrong on one machine, delays no job of a dead worker and takes none from a live one.

To set the database's clock back by an hour is to the rows as if all times in them were an hour later.
"""

from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, update

from pipelines.state import State
from tests.support.builders import push
from workers import store
from workers.db.models import Job, Leader, Worker
from workers.db.session import now_ms, reading, transaction
from workers.scheduler.candidate import LEAD_S, Candidate
from workers.scheduler.silence import SilenceWatch
from workers.store.jobs import leases

HOUR_MS = 3_600_000
LEASE_S = 15


@dataclass
class Onlooker:
    """A scheduler's view of the leases, by a clock that only the test moves."""

    database: Engine
    now_s: float = 100.0

    def __post_init__(self) -> None:
        self.watch: SilenceWatch[leases.HeldLease] = SilenceWatch(lambda: self.now_s)
        with transaction(self.database) as session:
            repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof"))
            self.job_id = store.queue_run(session, repo.id, push()).job_id
            assert leases.claim(session, self.job_id, "w1", LEASE_S)

    def reaps(self, attempts_max: int = 2) -> list[State]:
        with transaction(self.database) as session:
            silent = self.watch.silent(leases.held(session), lambda lease: lease.lease_s)
            return [each.state for each in leases.reap(session, silent, attempts_max)]

    def shift_clock(self, ahead_ms: int) -> None:
        """Sets the database's clock by so much: forward if positive."""
        with transaction(self.database) as session:
            session.execute(update(Job).values(lease_until_ms=Job.lease_until_ms - ahead_ms))

    def renew(self) -> None:
        with transaction(self.database) as session:
            assert leases.renew(session, self.job_id, 1, "w1", LEASE_S).still_mine


@pytest.fixture
def onlooker(database: Engine) -> Onlooker:
    return Onlooker(database)


@pytest.mark.parametrize("ahead_ms", [-HOUR_MS, 0, HOUR_MS])
def test_the_job_of_a_dead_worker_is_free_after_its_lease_by_whatever_clock(onlooker: Onlooker, ahead_ms: int) -> None:
    onlooker.shift_clock(ahead_ms)
    assert onlooker.reaps() == []
    onlooker.now_s += LEASE_S - 0.1
    assert onlooker.reaps() == []
    onlooker.now_s += 0.1
    assert onlooker.reaps() == [State.QUEUED]


@pytest.mark.parametrize("ahead_ms", [-HOUR_MS, HOUR_MS])
def test_a_clock_that_is_set_while_the_worker_renews_takes_no_job_from_it(onlooker: Onlooker, ahead_ms: int) -> None:
    for _ in range(5):
        assert onlooker.reaps() == []
        onlooker.now_s += LEASE_S - 1
        onlooker.shift_clock(ahead_ms)
        onlooker.renew()


def test_a_lease_counts_from_when_it_was_seen_last_however_long_the_scheduler_was_busy(onlooker: Onlooker) -> None:
    assert onlooker.reaps() == []
    onlooker.renew()
    onlooker.now_s += 10 * LEASE_S
    assert onlooker.reaps() == []
    onlooker.now_s += LEASE_S
    assert onlooker.reaps() == [State.QUEUED]


def test_a_job_that_has_cost_two_workers_is_not_given_to_a_third(onlooker: Onlooker) -> None:
    assert onlooker.reaps() == []
    onlooker.now_s += LEASE_S
    assert onlooker.reaps() == [State.QUEUED]
    with transaction(onlooker.database) as session:
        assert leases.claim(session, onlooker.job_id, "w2", LEASE_S)
    assert onlooker.reaps() == []
    onlooker.now_s += LEASE_S
    assert onlooker.reaps() == [State.BROKEN]
    with transaction(onlooker.database) as session:
        assert leases.claim(session, onlooker.job_id, "w3", LEASE_S) is None
        job = store.job_by_id(session, onlooker.job_id)
        assert job is not None
        assert "2 times; no further worker gets it" in job.message


@pytest.mark.parametrize("ahead_ms", [-HOUR_MS, HOUR_MS])
def test_another_scheduler_takes_over_from_a_dead_one_by_whatever_clock(database: Engine, ahead_ms: int) -> None:
    now_s = 0.0
    dead = Candidate(database, "dead", SilenceWatch(lambda: now_s))
    other = Candidate(database, "other", SilenceWatch(lambda: now_s))
    assert dead.leads()
    with transaction(database) as session:
        session.execute(update(Leader).values(until_ms=Leader.until_ms - ahead_ms))
    assert other.leads() == (ahead_ms > 0), "by the database's clock the lead is free: two leaders do no harm"
    now_s += LEAD_S
    assert other.leads()
    assert not dead.leads()


def test_a_worker_that_died_before_the_clock_was_set_back_counts_as_gone(database: Engine) -> None:
    with transaction(database) as session:
        store.record_heartbeat(session, "w1", {}, 1, LEASE_S)
        assert len(store.workers(session)) == 1
        later = {"seen_ms": now_ms() + HOUR_MS, "until_ms": now_ms() + HOUR_MS + 15_000}
        session.execute(update(Worker).values(later))
    with reading(database) as session:
        assert store.workers(session) == []
