"""A scheduler for tests: its duties are done when a test says so, by a clock that the test moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import ConnectionError as RedisAwayError
from sqlalchemy import Engine, update

from tests.support.builders import push
from tests.support.logs import folder_logs
from workers import store
from workers.blobs import LocalBlobs
from workers.db.models import Job, Run
from workers.db.session import now_ms, reading, transaction
from workers.scheduler.scheduler import SchedulerContext, duties_of
from workers.store.jobs import leases
from workers.streaming import redis_stream
from workers.streaming.redis_stream import LiveTail

LEASE_S = 15


class SchedulerFixture:
    """A database with one job, and a scheduler whose wake-ups are recorded."""

    def __init__(self, database: Engine, redis_url: str, folder: Path) -> None:
        self.database = database
        self.notified: list[int] = []
        self.answers = True
        self.waiting = 0
        self.redis_away = False
        self.redis = redis_stream.connect(redis_url)
        self.logs = folder_logs(database, folder)
        self.context = SchedulerContext(
            engine=database,
            notify=self._notify,
            waiting=self._waiting,
            live=LiveTail(self.redis),
            logs=self.logs,
            blobs=LocalBlobs(folder / "blobs"),
            attempts_max=2,
            retention_days=30,
            audit_days=0,
            lease_s=LEASE_S,
            monotonic_s=lambda: self.now_s,
        )
        self.now_s = 0.0
        self.duties = {duty.name: duty.work for duty in duties_of(self.context)}
        with transaction(database) as session:
            self.repo_id = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof")).id
            self.queued = store.queue_run(session, self.repo_id, push())

    def _notify(self, job_id: int) -> bool:
        self.notified.append(job_id)
        return self.answers

    def _waiting(self) -> int:
        if self.redis_away:
            raise RedisAwayError
        return self.waiting

    def notified_ago(self, seconds: int) -> None:
        with transaction(self.database) as session:
            session.execute(update(Job).values(rung_ms=now_ms() - seconds * 1000))

    def claim(self) -> leases.Claim:
        with transaction(self.database) as session:
            claim = leases.claim(session, self.queued.job_id, "w1", LEASE_S)
        assert claim is not None
        return claim

    def tick(self, *names: str) -> None:
        """Each duty once, or those of these names; their failures are in ``problems``."""
        self.problems = {name: work() for name, work in self.duties.items() if not names or name in names}

    def let_the_lease_run_out(self) -> None:
        self.tick("jobs of dead workers")
        self.now_s += LEASE_S

    def run(self) -> Run:
        with reading(self.database) as session:
            run = store.run_by_id(session, self.queued.run_id)
        assert run is not None
        return run


@pytest.fixture
def site(sqlite_database: Engine, redis_url: str, tmp_path: Path) -> Iterator[SchedulerFixture]:
    site = SchedulerFixture(sqlite_database, redis_url, tmp_path)
    yield site
    site.redis.close()
