"""Workers and webhooks at the same time, on each of the two databases: no deadlock, and no job is left behind."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import OperationalError

from pipelines.plan import Concurrency, JobPlan, Plan
from pipelines.state import PASSED
from pipelines.trigger import Event
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.models import Job
from workers.db.session import reading, transaction
from workers.scheduler.missed_turns import MissedTurns
from workers.store.jobs import leases

Result = TypeVar("Result")
WORKERS, PUSHES, RUNS_OF_PUSH = 6, 15, 3
PATIENCE_S = 60
"""So long nothing may move. There is no limit for all of it: a slow machine takes its time."""
PAUSE_S = 0.01
"""Workers that find nothing leave the database to the others: SQLite has no order in which its lock is given."""
BRANCHES = ("main", "topic", "fix")


def grouped(name: str, number: int, group: str, needs: tuple[str, ...] = ()) -> JobPlan:
    asked = Concurrency(group=group, limit=1 + (group == "b"), cancel=group == "c")
    return job_plan(name, number, needs, steps=1).model_copy(update={"concurrency": asked})


def some_plan(noise: random.Random) -> Plan:
    first, second = noise.choices("abc", k=2)
    return plan(grouped("one", 1, first), grouped("two", 2, second, ("one",)), job_plan("free", 3, steps=1))


def push_some(database: Engine, repo_ids: list[int], seed: int, progress: "Progress") -> None:
    noise = random.Random(seed)
    for _ in range(PUSHES):
        new = [store.NewRun(noise.choice(repo_ids), push(branch=noise.choice(BRANCHES))) for _ in range(RUNS_OF_PUSH)]
        progress.until_not_locked(partial(_queue, database, new))


def _queue(database: Engine, new: list[store.NewRun]) -> None:
    with transaction(database) as session:
        store.queue_runs(session, new)


@dataclass
class Progress:
    """When a job was claimed last, on the clock of ``time.monotonic``."""

    claimed_s: float = field(default_factory=time.monotonic)

    def stalled(self) -> bool:
        return time.monotonic() > self.claimed_s + PATIENCE_S

    def until_not_locked(self, run: Callable[[], Result]) -> Result:
        """Tries again where SQLite's lock was not to be had, as workers do. A deadlock of PostgreSQL is an error."""
        while True:
            try:
                return run()
            except OperationalError as error:
                if "database is locked" not in str(error) or self.stalled():
                    raise


def work_some(database: Engine, worker: int, over: threading.Event, progress: Progress) -> None:
    noise, missed = random.Random(worker), MissedTurns()
    while not progress.stalled():
        over_before = over.is_set()
        with reading(database) as session:
            job_id = leases.next_ready(session)
        if job_id is not None:
            if progress.until_not_locked(partial(_work, database, job_id, f"w{worker}", noise)):
                progress.claimed_s = time.monotonic()
        elif over_before and not _left(database):
            return
        else:
            if worker == 0:
                progress.until_not_locked(partial(missed, database))
            time.sleep(PAUSE_S)


def _work(database: Engine, job_id: int, owner: str, noise: random.Random) -> bool:
    """True where the job could be claimed."""
    with transaction(database) as session:
        claim = leases.claim(session, job_id, owner, 600)
    if claim is None:
        return False
    _end_or_release(database, claim, noise)
    return True


def _end_or_release(database: Engine, claim: leases.Claim, noise: random.Random) -> None:
    job_id = claim.job_id
    try:
        if claim.plan is None:
            with transaction(database) as session:
                if store.plan_run(session, job_id, claim.attempt, some_plan(noise)).mine is None:
                    return
        with transaction(database) as session:
            if noise.random() < 0.2:
                leases.release(session, job_id, claim.attempt)
            else:
                store.finish_job(session, job_id, claim.attempt, PASSED)
    except store.StaleAttemptError:
        return


def _left(database: Engine) -> int:
    with reading(database) as session:
        return session.scalar(select(func.count()).where(Job.finished_ms.is_(None))) or 0


@pytest.mark.stress
def test_no_deadlock_and_no_job_left_behind(database: Engine) -> None:
    with transaction(database) as session:
        repo_ids = [store.add_repo(session, store.NewRepo(name, "file:///x")).id for name in ("a", "b")]
        for repo_id in repo_ids:
            store.set_newest_wins(session, repo_id, {Event.PUSH})
    errors: list[BaseException] = []
    over, progress = threading.Event(), Progress()

    def kept(run: object, *arguments: object) -> None:
        try:
            run(*arguments)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    pushers = [threading.Thread(target=kept, args=(push_some, database, repo_ids, seed, progress)) for seed in range(3)]
    workers = [
        threading.Thread(target=kept, args=(work_some, database, each, over, progress)) for each in range(WORKERS)
    ]
    for thread in (*pushers, *workers):
        thread.start()
    for thread in pushers:
        thread.join()
    over.set()
    for thread in workers:
        thread.join()
    assert errors == []
    with reading(database) as session:
        jobs = session.scalars(select(Job).where(Job.finished_ms.is_(None) | Job.lane.is_not(None)))
        left = [(job.id, job.run_id, job.number, job.state.value, job.ready, job.lane, job.group_key) for job in jobs]
        assert left == []
