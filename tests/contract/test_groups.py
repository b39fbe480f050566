"""Concurrency groups, on each of the two databases: limits, order of turns, and cancellation by newer runs."""

import threading

import pytest
from sqlalchemy import Engine

from pipelines.context import Trust
from pipelines.plan import Concurrency, JobPlan
from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.trigger import Event, Trigger
from tests.support.builders import SHA, held_by, job_plan, plan, pull_request, push
from workers import store
from workers.access.trust import permissions
from workers.db.models import Job
from workers.db.session import reading, transaction
from workers.store.jobs import leases

DEPLOYMENT = Trigger(event=Event.DEPLOYMENT, sha=SHA, ref="refs/heads/main", branch="main", deploy_target="prod")


def deploy(number: int = 1, needs: tuple[str, ...] = (), name: str = "deploy", **concurrency: object) -> JobPlan:
    asked = Concurrency.model_validate({"group": "prod"} | concurrency)
    return job_plan(name, number, needs).model_copy(update={"concurrency": asked})


def claimed(database: Engine, job_id: int) -> leases.Claim | None:
    with transaction(database) as session:
        return leases.claim(session, job_id, "w1", 60)


def begun(database: Engine, repo_id: int, *jobs: JobPlan, trigger: Trigger | None = None) -> "Begun":
    """A run that was queued, claimed and planned at once."""
    with transaction(database) as session:
        queued = store.queue_run(session, repo_id, trigger or push())
        claim = leases.claim(session, queued.job_id, "w1", 60)
        assert claim is not None
        scope = permissions(trigger or push(), Trust(), on_branch=True).group_scope
        planned = store.plan_run(session, queued.job_id, claim.attempt, plan(*jobs), group_scope=scope)
        return Begun(database, queued, claim, planned)


class Begun:
    def __init__(self, database: Engine, queued: store.Queued, claim: leases.Claim, planned: store.Planned) -> None:
        self.database, self.queued, self.claim, self.planned = database, queued, claim, planned

    def finish(self, outcome: Outcome = PASSED) -> store.Finished:
        with transaction(self.database) as session:
            return store.finish_job(session, self.claim.job_id, self.claim.attempt, outcome)

    def state(self) -> State:
        with reading(self.database) as session:
            run = store.run_by_id(session, self.queued.run_id)
        assert run is not None
        return run.state

    def jobs(self) -> dict[str, Job]:
        with reading(self.database) as session:
            return {job.name: job for job in store.jobs_of(session, self.queued.run_id)}

    def waits(self, name: str = "deploy") -> str:
        jobs = self.jobs()
        with reading(self.database) as session:
            return store.why_waiting(session, "acme/roof", list(jobs.values()))[jobs[name].id]


def test_the_job_of_a_later_run_waits_names_the_jobs_ahead_and_is_ready_when_its_turn_comes(
    database: Engine, repo_id: int
) -> None:
    first, second = begun(database, repo_id, deploy()), begun(database, repo_id, deploy())
    assert first.planned.mine is not None
    assert second.planned.mine is None
    assert second.planned.ready_job_ids == []
    assert claimed(database, second.queued.job_id) is None
    assert second.waits() == "Waits for run 1, job deploy (concurrency group 'prod')."
    assert first.finish().ready_job_ids == [second.queued.job_id]
    claim = claimed(database, second.queued.job_id)
    assert claim is not None
    assert (claim.attempt, claim.plan) == (2, deploy())


def test_a_group_without_a_name_is_the_workflows_and_limits_no_other(database: Engine, repo_id: int) -> None:
    first = begun(database, repo_id, deploy(group=""))
    assert begun(database, repo_id, deploy(group="")).planned.mine is None
    assert begun(database, repo_id, deploy(group="", name="other")).planned.mine is not None
    assert begun(database, repo_id, deploy(group="deploy", name="third")).planned.mine is not None
    assert first.jobs()["deploy"].group_name == "deploy"


@pytest.mark.slow
def test_as_many_run_at_once_as_the_limit_says(database: Engine, repo_id: int) -> None:
    runs = [begun(database, repo_id, deploy(limit=2)) for _ in range(4)]
    assert [run.planned.mine is not None for run in runs] == [True, True, False, False]
    assert (
        runs[3].waits()
        == "Waits for run 1, job deploy, run 2, job deploy and run 3, job deploy (concurrency group 'prod')."
    )
    runs[1].finish()
    assert claimed(database, runs[3].queued.job_id) is None
    assert claimed(database, runs[2].queued.job_id) is not None


def test_another_repository_has_groups_of_its_own(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        other = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall")).id
    begun(database, repo_id, deploy())
    assert begun(database, other, deploy()).planned.mine is not None


def test_a_pull_request_from_a_fork_delays_no_other_run(database: Engine, repo_id: int) -> None:
    begun(database, repo_id, deploy(), trigger=pull_request(from_fork=True))
    assert begun(database, repo_id, deploy()).planned.mine is not None


def test_runs_keep_their_order_also_where_the_earlier_ones_job_is_not_ready_yet(database: Engine, repo_id: int) -> None:
    first = begun(database, repo_id, job_plan("build", 1), deploy(2, ("build",)))
    second = begun(database, repo_id, deploy())
    assert second.planned.mine is None
    (next_job,) = first.finish().ready_job_ids
    assert claimed(database, second.queued.job_id) is None
    assert claimed(database, next_job) is not None


def test_an_earlier_run_that_is_not_planned_yet_comes_first(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        early = store.queue_run(session, repo_id, push())
    late = begun(database, repo_id, deploy())
    assert late.planned.mine is None
    assert late.waits() == "Waits until run 1 is planned, which may have an earlier turn (concurrency group 'prod')."
    claim = claimed(database, early.job_id)
    assert claim is not None
    with transaction(database) as session:
        done = store.plan_run(session, early.job_id, claim.attempt, plan(job_plan("test")))
    assert done.ready_job_ids == [late.queued.job_id]
    assert claimed(database, late.queued.job_id) is not None


def test_the_cells_of_a_matrix_take_turns(database: Engine, repo_id: int) -> None:
    run = begun(database, repo_id, deploy(1), deploy(2), deploy(3))
    assert run.planned.ready_job_ids == []
    (second,) = run.finish().ready_job_ids
    assert claimed(database, second) is not None


def test_within_a_run_a_job_that_is_not_ready_has_no_turn(database: Engine, repo_id: int) -> None:
    # Job 1 has the earlier number but needs job 2: if it counted, each would wait for the other.
    run = begun(database, repo_id, deploy(1, ("build",)), deploy(2, name="build"), deploy(3, name="lint"))
    assert run.planned.mine == deploy(2, name="build")
    assert run.waits("lint") == "Waits for run 1, job build (concurrency group 'prod')."
    with transaction(database) as session:
        leases.release(session, run.claim.job_id, run.claim.attempt)
    claim = claimed(database, run.claim.job_id)
    assert claim is not None
    assert claim.plan == deploy(2, name="build")


def test_a_worker_goes_on_with_a_job_that_may_start(database: Engine, repo_id: int) -> None:
    begun(database, repo_id, deploy())
    run = begun(database, repo_id, deploy(1), job_plan("lint", 2))
    assert run.planned.mine == job_plan("lint", 2)
    assert run.planned.ready_job_ids == []


def test_a_job_that_loses_its_worker_frees_the_group_and_keeps_its_turn(database: Engine, repo_id: int) -> None:
    first, second = begun(database, repo_id, deploy()), begun(database, repo_id, deploy())
    with transaction(database) as session:
        leases.reap(session, held_by(session, first.queued.job_id))
        assert leases.next_ready(session) == first.queued.job_id
    assert claimed(database, second.queued.job_id) is None
    with transaction(database) as session:
        assert store.request_cancel(session, first.queued.run_id, "ada").ready_job_ids == [second.queued.job_id]
    assert claimed(database, second.queued.job_id) is not None


@pytest.mark.slow
def test_of_many_claims_at_the_same_time_no_more_succeed_than_the_limit_allows(database: Engine, repo_id: int) -> None:
    holder = begun(database, repo_id, deploy(limit=1))
    waiting = [begun(database, repo_id, deploy(limit=3), trigger=push(branch=f"b{n}")) for n in range(6)]
    holder.finish()
    won: list[int] = []
    start = threading.Barrier(6)

    def ask(job_id: int) -> None:
        start.wait()
        if claimed(database, job_id):
            won.append(job_id)

    threads = [threading.Thread(target=ask, args=(each.queued.job_id,)) for each in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(won) <= {each.queued.job_id for each in waiting[:3]}


# Newer runs cancel older ones


def test_with_cancel_the_newest_run_cancels_older_jobs_of_its_branch_in_the_group(
    database: Engine, repo_id: int
) -> None:
    first = begun(database, repo_id, deploy(1, cancel=True), job_plan("lint", 2))
    queued = begun(database, repo_id, deploy(cancel=True))
    newest = begun(database, repo_id, deploy(cancel=True))
    assert queued.jobs()["deploy"].state is State.CANCELED
    assert first.jobs()["deploy"].cancel_by == "run 2"
    assert (queued.planned.superseded, newest.planned.superseded) == ([first.queued.run_id], [])
    with transaction(database) as session:
        renewal = leases.renew(session, first.claim.job_id, first.claim.attempt, "w1", 60)
    assert (renewal.cancel_requested, renewal.cancel_by) == (True, "run 2")
    finished = first.finish(Outcome(State.CANCELED, Reason.CANCELED, "canceled by run 2"))
    assert finished.ready_job_ids == [newest.queued.job_id]
    assert first.state() is State.RUNNING
    job = first.jobs()["deploy"]
    assert (job.reason, job.message) == (Reason.SUPERSEDED, "Superseded by run 2.")
    assert first.jobs()["lint"].state is State.QUEUED


def test_a_job_that_has_ended_is_not_canceled_with_the_others_of_its_run(database: Engine, repo_id: int) -> None:
    first = begun(database, repo_id, deploy(1, cancel=True), job_plan("lint", 2))
    first.finish()
    assert begun(database, repo_id, deploy(cancel=True)).planned.superseded == []
    job = first.jobs()["deploy"]
    assert (job.state, job.cancel_by) == (State.PASSED, "")


@pytest.mark.slow
@pytest.mark.parametrize("trigger", [push(branch="other"), DEPLOYMENT, pull_request(from_fork=False)])
def test_other_branches_and_events_are_waited_for_and_never_canceled(
    database: Engine, repo_id: int, trigger: Trigger
) -> None:
    first = begun(database, repo_id, deploy(cancel=True), trigger=trigger)
    second = begun(database, repo_id, deploy(cancel=True))
    assert second.planned.mine is None
    assert first.jobs()["deploy"].cancel_by == ""


def test_a_deployment_cancels_no_other_deployment(database: Engine, repo_id: int) -> None:
    first = begun(database, repo_id, deploy(cancel=True), trigger=DEPLOYMENT)
    begun(database, repo_id, deploy(cancel=True), trigger=DEPLOYMENT)
    assert first.jobs()["deploy"].cancel_by == ""


def test_a_run_that_is_planned_after_a_newer_one_is_canceled_too(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        early = store.queue_run(session, repo_id, push())
    late = begun(database, repo_id, deploy(cancel=True))
    claim = claimed(database, early.job_id)
    assert claim is not None
    with transaction(database) as session:
        done = store.plan_run(session, early.job_id, claim.attempt, plan(deploy(cancel=True)))
        assert (done.mine, done.ready_job_ids) == (None, [late.queued.job_id])
        run = store.run_by_id(session, early.run_id)
        assert run is not None
        assert (run.state, run.reason, run.sentence) == (State.CANCELED, Reason.SUPERSEDED, "Superseded by run 2.")


def test_a_job_that_loses_its_worker_during_its_cancellation_ends(database: Engine, repo_id: int) -> None:
    first = begun(database, repo_id, deploy(cancel=True))
    begun(database, repo_id, deploy(cancel=True))
    with transaction(database) as session:
        assert [each.state for each in leases.reap(session, held_by(session, first.queued.job_id))] == [State.CANCELED]


# A step with ``failure: cancel``


def test_a_run_that_a_failed_step_canceled_has_failed_because_of_that_step(database: Engine, repo_id: int) -> None:
    run = begun(database, repo_id, job_plan("lint", 1), job_plan("build", 2), job_plan("test", 3, ("build",)))
    build = claimed(database, run.planned.ready_job_ids[0])
    assert build is not None
    with transaction(database) as session:
        by = "step 'ruff' of 'lint', which failed"
        result = store.request_cancel(session, run.queued.run_id, by, Reason.DEPENDENCY_FAILED)
    assert result.state is State.RUNNING
    run.finish(Outcome(State.FAILED, Reason.EXIT_CODE, "step 'ruff': it exited with 3"))
    with transaction(database) as session:
        canceled = Outcome(State.CANCELED, Reason.CANCELED, f"canceled by {by}")
        store.finish_job(session, build.job_id, build.attempt, canceled)
        row = store.run_by_id(session, run.queued.run_id)
        assert row is not None
        assert (row.state, row.reason) == (State.FAILED, Reason.EXIT_CODE)
        assert row.sentence == "lint: step 'ruff': it exited with 3"
    assert run.jobs()["test"].message == f"The run was canceled by {by}."
