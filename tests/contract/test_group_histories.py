"""Several runs whose jobs need one another and share concurrency groups, in any order of events: the limit holds, no
job overtakes one of an earlier run, and all jobs end, for there are no deadlocks."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from pipelines.plan import Concurrency, JobPlan
from pipelines.state import PASSED, State
from tests.support.builders import held_by, job_plan, plan, push
from workers import store
from workers.db.models import Job
from workers.db.session import reading, transaction
from workers.store.jobs import leases

LIMIT = 2
Shape = list[tuple[frozenset[int], str]]


@st.composite
def pipelines(draw: st.DrawFn) -> Shape:
    """For each job of a run the earlier ones that it needs, and its group or none."""
    size = draw(st.integers(1, 3))
    needs = [draw(st.frozensets(st.integers(0, number - 1))) if number else frozenset[int]() for number in range(size)]
    return [(each, draw(st.sampled_from(["a", "b", ""]))) for each in needs]


def jobs_of(shape: Shape) -> list[JobPlan]:
    # Numbered backwards, so that a job's number says nothing about what it needs.
    made = []
    for at, (needs, group) in enumerate(shape):
        asked = Concurrency(limit=LIMIT if group == "b" else 1, group=group) if group else None
        job = job_plan(f"job-{at}", len(shape) - at, tuple(f"job-{need}" for need in needs), 1)
        made.append(job.model_copy(update={"concurrency": asked}))
    return made


class History:
    """Workers on several runs of one repository."""

    def __init__(self, database: Engine, shapes: list[Shape]) -> None:
        self.database, self.at_work = database, list[leases.Claim]()
        with transaction(database) as session:
            repo = store.add_repo(session, store.NewRepo(f"repo-{len(store.repos(session))}", "file:///x"))
            runs = store.queue_runs(session, [store.NewRun(repo.id, push()) for _ in shapes])
        self.shapes = {run.run_id: shape for run, shape in zip(runs, shapes, strict=True)}

    def jobs(self) -> list[Job]:
        with reading(self.database) as session:
            return [job for run_id in self.shapes for job in store.jobs_of(session, run_id)]

    def step(self, pick: st.DataObject) -> bool:
        """Makes one random step. False when none is possible."""
        mine = {job.id for job in self.jobs()}
        with reading(self.database) as session:
            claimable = [job_id for job_id in leases.ready_not_notified(session, -1) if job_id in mine]
        moves = [("claim", each) for each in claimable]
        moves += [(what, each) for each in range(len(self.at_work)) for what in ("end", "lose")]
        if not moves:
            return False
        what, which = pick.draw(st.sampled_from(moves))
        getattr(self, what)(which)
        return True

    def claim(self, job_id: int) -> None:
        with transaction(self.database) as session:
            claim = leases.claim(session, job_id, "w", 60)
            assert claim is not None
            if claim.plan is None:
                what = plan(*jobs_of(self.shapes[claim.run_id]))
                if store.plan_run(session, job_id, claim.attempt, what).mine is None:
                    return
        self.at_work.append(claim)

    def end(self, which: int) -> None:
        claim = self.at_work.pop(which)
        with transaction(self.database) as session:
            store.finish_job(session, claim.job_id, claim.attempt, PASSED)

    def lose(self, which: int) -> None:
        claim = self.at_work.pop(which)
        with transaction(self.database) as session:
            leases.reap(session, held_by(session, claim.job_id), attempts_max=1000)

    def check(self) -> None:
        jobs = self.jobs()
        for group, limit in (("a", 1), ("b", LIMIT)):
            mine = [job for job in jobs if job.group_name == group and job.group_key]
            running = [job for job in mine if job.state is State.RUNNING]
            assert len(running) <= limit
            for job in running:
                earlier = [other for other in mine if other.run_id < job.run_id and not other.state.final]
                assert len(earlier) < limit


def check(database: Engine, shapes: list[Shape], pick: st.DataObject) -> None:
    history = History(database, shapes)
    while history.step(pick):
        history.check()
    assert {job.state for job in history.jobs()} == {State.PASSED}


@pytest.mark.stress
def test_in_any_history_limit_and_order_hold_and_all_jobs_end(database: Engine) -> None:
    slow_is_fine = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    runs = st.lists(pipelines(), min_size=2, max_size=4)
    slow_is_fine(given(runs, st.data())(lambda shapes, pick: check(database, shapes, pick)))()
