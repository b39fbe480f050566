"""A recorder with a database, a log store and a live tail, for tests."""

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from tests.support.builders import job_plan, plan, push
from tests.support.logs import folder_logs
from workers import store
from workers.db.models import Step
from workers.db.session import reading, transaction
from workers.jobs.recorder import Recorder
from workers.store.jobs import leases
from workers.streaming import redis_stream
from workers.streaming.redis_stream import LiveTail


class RecorderFixture:
    """A planned job, and what a recorder needs."""

    def __init__(self, database: Engine, tail: LiveTail | None, folder: Path) -> None:
        self.database = database
        self.tail = tail
        self.logs = folder_logs(database, folder)
        with transaction(database) as session:
            repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof"))
            job_id = store.queue_run(session, repo.id, push()).job_id
            claim = leases.claim(session, job_id, "w1", 60)
            assert claim is not None
            store.plan_run(session, job_id, claim.attempt, plan(job_plan("test", steps=3)))
            self.steps = {number: step.id for number, step in store.steps_by_number(session, job_id).items()}
        self.claim = claim

    def recorder(self, now: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> Recorder:
        return Recorder(self.database, self.logs, self.tail, self.claim, self.steps, now)

    def step(self, number: int) -> Step:
        with reading(self.database) as session:
            return store.steps_by_number(session, self.claim.job_id)[number]

    def log(self, number: int) -> bytes:
        with self.logs.open(self.claim.run_id, self.claim.job_id, number, self.claim.attempt) as reader:
            return reader.read(0, 10**9)

    def complete(self, number: int) -> bool:
        with self.logs.open(self.claim.run_id, self.claim.job_id, number, self.claim.attempt) as reader:
            return reader.complete

    def live(self, number: int) -> list[redis_stream.Entry]:
        assert self.tail is not None
        return [entry for _, entry in self.tail.read(self.steps[number], self.claim.attempt)]
