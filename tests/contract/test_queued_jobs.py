"""The queue of all repositories, on both databases: its order, its numbers, and how long jobs usually take."""

from sqlalchemy import Engine, update

from pipelines.plan import Plan
from pipelines.state import State
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.models import Job
from workers.db.session import reading, transaction
from workers.store.jobs import leases, queued_jobs
from workers.store.jobs.queued_jobs import PAST_JOBS_MAX, past_durations, queue_counts


def queue(database: Engine, repo_id: int, count: int = 1) -> list[int]:
    with transaction(database) as session:
        return [store.queue_run(session, repo_id, push()).job_id for _ in range(count)]


def planned(database: Engine, job_id: int, planned: Plan) -> None:
    with transaction(database) as session:
        claim = leases.claim(session, job_id, "w/1", 60, "w")
        assert claim
        store.plan_run(session, job_id, claim.attempt, planned)


def test_the_oldest_job_is_first_and_those_that_run_or_have_ended_are_not_in_it(database: Engine, repo_id: int) -> None:
    first, second, third, fourth = queue(database, repo_id, 4)
    planned(database, first, plan(job_plan("build"), job_plan("test", 2, ("build",))))
    with transaction(database) as session:
        session.execute(update(Job).where(Job.id == third).values(state=State.PASSED, finished_ms=5))
    with reading(database) as session:
        found = queued_jobs.queued_jobs(session, 0, 10)
        test = found[-1].job
        assert [each.job.id for each in found] == [second, fourth, test.id]
        assert (test.name, found[-1].repo, found[-1].run_number) == ("test", "acme/roof", 1)
        assert test.plan is not None, "it is read where it is used"
        assert [each.job.id for each in queued_jobs.queued_jobs(session, second, 1)] == [fourth]
        ahead = queued_jobs.first_in_queue(session, 3)
        assert [each.id for each in ahead] == [second, fourth], "the third one waits for another job"
        assert ahead[0].asked == {"repo": "acme/roof"}
        (busy,) = queued_jobs.busy_slots(session)
        assert (busy.kind, busy.lease_owner) == ((repo_id, "build"), "w/1")
        assert queued_jobs.unfinished_names(session, {test.run_id}) == {test.run_id: ["build", "test"]}
        assert queued_jobs.unfinished_names(session, {test.run_id}, most=1) == {test.run_id: ["build"]}


def test_so_many_wait_for_what(database: Engine, repo_id: int) -> None:
    jobs = queue(database, repo_id, 6)
    planned(database, jobs[0], plan(job_plan("build"), job_plan("test", 2, ("build",))))
    with transaction(database) as session:
        session.execute(update(Job).where(Job.id == jobs[1]).values(labels={"gpu": "a100", "none": ""}, lane="gpu"))
        session.execute(update(Job).where(Job.id == jobs[2]).values(lane=None, not_before_ms=1))
        session.execute(update(Job).where(Job.id == jobs[3]).values(lane=None, ready=False))
        session.execute(update(Job).where(Job.id == jobs[4]).values(lane=None))
    with reading(database) as session:
        counts = queue_counts(session)
        assert counts.waits == {"forge": 1, "approval": 1, "needs": 1, "concurrency": 1, "worker": 2}
        assert counts.labels == [({}, 1), ({"gpu": "a100"}, 1)]
        assert not counts.more
        assert not queue_counts(session, most=6).more
        assert queue_counts(session, most=5).more


def test_the_last_passed_jobs_of_a_workflow_say_how_long_it_takes(database: Engine, repo_id: int) -> None:
    jobs = queue(database, repo_id, PAST_JOBS_MAX + 4)
    with transaction(database) as session:
        for took, job_id in enumerate(jobs):
            ended = {"state": State.PASSED, "name": "test", "started_ms": 100, "finished_ms": 100 + took}
            session.execute(update(Job).where(Job.id == job_id).values(**ended))
        session.execute(update(Job).where(Job.id == jobs[-1]).values(state=State.FAILED))
        session.execute(update(Job).where(Job.id == jobs[-2]).values(name="build"))
        session.execute(update(Job).where(Job.id == jobs[-3]).values(carried_from=1))
    with reading(database) as session:
        found = past_durations(session, [(repo_id, "test"), (repo_id, "build"), (repo_id, "other"), (0, "test")])
    assert found == {
        (repo_id, "test"): list(range(1, PAST_JOBS_MAX + 1)),
        (repo_id, "build"): [PAST_JOBS_MAX + 2],
        (repo_id, "other"): [],
        (0, "test"): [],
    }
