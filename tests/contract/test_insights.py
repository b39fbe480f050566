"""What is read for insights has limits: on both databases."""

import pytest
from sqlalchemy import Engine, update

from pipelines.state import State
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.models import Job, Step, StepReport, TestFailure
from workers.db.session import reading, transaction
from workers.store import NewRepo
from workers.store.jobs import leases
from workers.store.runs.insights import past_failures_of, past_reports, past_steps


def planned(database: Engine, repo_id: int) -> int:
    with transaction(database) as session:
        queued = store.queue_run(session, repo_id, push())
        claim = leases.claim(session, queued.job_id, "w", 60, "w")
        assert claim
        store.plan_run(session, queued.job_id, claim.attempt, plan(job_plan("unit", steps=3)))
    return queued.run_id


@pytest.fixture
def repo(database: Engine) -> int:
    with transaction(database) as session:
        return store.add_repo(session, NewRepo("a/b", "https://git.test/a/b.git")).id


def test_only_steps_that_ran_here_and_have_ended_count(database: Engine, repo: int) -> None:
    run, other, carried = (planned(database, repo) for _ in range(3))
    with transaction(database) as session:
        session.execute(update(Step).values(started_ms=100, finished_ms=350, state=State.PASSED))
        session.execute(update(Step).where(Step.number == 2).values(finished_ms=None))
        session.execute(update(Step).where(Step.number == 3).values(carried_from=1))
        session.execute(update(Job).where(Job.run_id == carried).values(carried_from=1))
    with reading(database) as session:
        (step,) = past_steps(session, [run, carried])
        assert (step.workflow, step.name, step.state, step.took_ms) == ("unit", "step-1", State.PASSED, 250)
        assert len(past_steps(session, [run, other])) == 2
        assert past_steps(session, []) == []
        assert past_reports(session, [run]) == []
        assert past_failures_of(session, []) == []


def test_so_much_is_read(database: Engine, repo: int) -> None:
    runs = [planned(database, repo) for _ in range(2)]
    with transaction(database) as session:
        session.execute(update(Step).values(started_ms=100, finished_ms=350, state=State.PASSED))
        jobs = {job.run_id: job.id for job in store.jobs_of(session, runs[0])}
        for attempt in (1, 2):
            report = StepReport(
                repo_id=repo, run_id=runs[0], job_id=jobs[runs[0]], step_number=1, attempt=attempt, created_ms=1
            )
            session.add(report)
            session.flush()
            known = {
                "report_id": report.id,
                "repo_id": repo,
                "key": "k",
                "suite": "",
                "group": "",
                "file": "",
                "line": 0,
            }
            session.add(TestFailure(**known, state="failed", name=f"t{attempt}", message="", text="", duration_ms=1))
    with reading(database) as session:
        assert [len(past_steps(session, runs, jobs_max=most)) for most in (1, 2, 3)] == [3, 6, 6]
        assert [len(past_steps(session, runs, steps_max=most)) for most in (5, 6, 7)] == [5, 6, 6]
        assert [len(past_reports(session, runs, most)) for most in (1, 2, 3)] == [1, 2, 2]
        reports = past_reports(session, runs)
        assert [each.name for each in past_failures_of(session, reports)] == ["t2", "t1"]
        assert [len(past_failures_of(session, reports, most)) for most in (1, 2, 3)] == [1, 2, 2]
