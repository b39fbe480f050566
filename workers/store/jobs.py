"""What a worker writes: the plan, jobs, steps. Each write names (job, attempt); one from a stale attempt is refused."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pipelines import plan as plans
from pipelines.plan import JobPlan, Plan
from pipelines.problem import Problem
from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Trigger
from workers.db.models import Job, Step
from workers.db.session import db_now_ms, now_ms
from workers.labels import lane_of
from workers.store.common import lock_attempt, plain
from workers.store.completion import Finished, cancellation_outcome, end_job, lock_job, settle, settle_alone
from workers.store.concurrency_groups import groups_of
from workers.store.lanes import turns_after
from workers.store.queueing import trigger_columns


@dataclass(frozen=True)
class Planned:
    """The jobs of a planned run. ``mine`` is the plan of the job that stays claimed, None where there is none.

    ``job_ids`` are all jobs. ``ready_job_ids`` are other jobs, also of other runs, that may start. After the commit,
    notify workers of these, and of the cancellation of the runs ``superseded``.
    """

    mine: JobPlan | None
    job_ids: list[int] = field(default_factory=list)
    ready_job_ids: list[int] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)


def _any(_plan: JobPlan) -> bool:
    return True


def plan_run(
    session: Session,
    job_id: int,
    attempt: int,
    plan: Plan,
    may_have: Callable[[JobPlan], bool] = _any,
    group_scope: str = "",
) -> Planned:
    """Writes the plan down: the claimed job becomes the first that may begin and that ``may_have`` allows.

    Where there is none, the claimed job waits for another worker or for its turn, as the others do. Jobs share a
    concurrency group only with jobs of the same ``group_scope``, which ``workers.access.trust`` decides.
    """
    run, job = lock_job(session, job_id, attempt)
    run.warnings, run.left_out = plain(plan.warnings), [left.model_dump() for left in plan.left_out]
    if not plan.jobs:
        end_job(session, job, Outcome(State.PASSED, Reason.CONDITION, _nothing_to_do(plan)))
        return Planned(None, ready_job_ids=settle(session, run).ready_job_ids)
    groups = groups_of(session, run, plan, group_scope)
    names = {each.name for each in plan.jobs}
    ready = [each for each in plan.jobs if not names & set(each.needs)]
    mine = next((each for each in ready if may_have(each) and groups.may_begin(session, each, ready)), None)
    first = mine or ready[0]
    now = db_now_ms(session)
    jobs = [
        job,
        *(Job(run_id=run.id, repo_id=run.repo_id, created_ms=run.created_ms, rung_ms=now) for _ in plan.jobs[1:]),
    ]
    for row, each in zip(jobs, [first, *(other for other in plan.jobs if other is not first)], strict=True):
        _fill(row, each, ready=each in ready)
        groups.enter(row, each)
    if mine is None:
        job.state, job.lease_owner, job.lease_until_ms, job.started_ms = State.QUEUED, "", None, None
    for row in jobs:
        free = row.ready and row.group_key is None and row.state is not State.RUNNING
        row.lane = lane_of(row.labels) if free else None
    session.add_all(jobs)
    session.flush()
    by_number = {each.number: each for each in plan.jobs}
    session.add_all(step for row in jobs for step in _steps(row.id, attempt, by_number[row.number]))
    session.flush()
    may_start = [row.id for row in jobs if row.lane is not None]
    # A run that was canceled meanwhile has no worker that would see that, where its jobs wait now.
    if groups.newer_runs or run.cancel_requested_ms is not None:
        may_start += settle_alone(session, run)
    may_start += turns_after(session, *groups.superseded.runs, run, planned=True)
    superseded = [older.id for older in groups.superseded.running]
    return Planned(mine, [row.id for row in jobs], list(dict.fromkeys(may_start)), superseded)


def set_trigger(session: Session, job_id: int, attempt: int, trigger: Trigger, *, on_branch: bool) -> None:
    """Stores what the worker found out about the commit: message, author, changed files, and where it is."""
    run, _job = lock_job(session, job_id, attempt)
    run.on_branch = on_branch
    for name, value in trigger_columns(trigger).items():
        setattr(run, name, value)
    session.flush()


def _nothing_to_do(plan: Plan) -> str:
    reasons = "; ".join(f"{left.what}: {left.why}" for left in plan.left_out)
    return f"Nothing in the pipeline runs for this trigger ({reasons})." if reasons else "The pipeline has no steps."


def _fill(job: Job, plan: JobPlan, *, ready: bool) -> None:
    job.number, job.name, job.file = plan.number, plan.name, plan.file
    job.cell, job.labels, job.needs = dict(plan.cell), dict(plan.labels), list(plan.needs)
    job.on_success, job.on_failure, job.ready = plan.on_success, plan.on_failure, ready
    job.plan = plan.model_dump_json()


def _steps(job_id: int, attempt: int, plan: JobPlan) -> Iterable[Step]:
    names = {step.number: step.name for step in plan.steps}
    for step in plan.steps:
        image = _image(step, names)
        yield Step(job_id=job_id, attempt=attempt, number=step.number, name=step.name, kind=step.kind, image=image)


def _image(step: plans.Step, names: dict[int, str]) -> str:
    """What the page shows as the step's image: for a built image the name of the build step."""
    match step:
        case plans.BuildStep():
            return ""
        case plans.PushStep():
            return ", ".join(step.repos)
        case plans.CommandsStep() | plans.PluginStep():
            image = step.container.image
            return image.name if isinstance(image, plans.NamedImage) else names.get(image.step, "")
        case _:
            assert_never(step)


def fail_planning(
    session: Session,
    job_id: int,
    attempt: int,
    outcome: Outcome,
    problems: Sequence[Problem] = (),
    warnings: Sequence[Problem] = (),
) -> Finished:
    """Ends a run that could not be planned, and stores the problems of its pipeline files."""
    run, job = lock_job(session, job_id, attempt)
    run.problems, run.warnings = plain(problems), plain(warnings)
    end_job(session, job, outcome)
    return settle(session, run)


def finish_job(session: Session, job_id: int, attempt: int, outcome: Outcome) -> Finished:
    """Ends the job and skips its steps that did not start. With its last job the run ends too."""
    run, job = lock_job(session, job_id, attempt)
    stopped = cancellation_outcome(run, job)
    if outcome.state is State.CANCELED and stopped and stopped.reason is Reason.SUPERSEDED:
        outcome = stopped  # the worker knows who canceled it, but not that a newer run did
    end_job(session, job, outcome)
    return settle(session, run)


def start_step(session: Session, job_id: int, attempt: int, number: int) -> None:
    """Notes that the step runs. Idempotent within an attempt."""
    lock_attempt(session, job_id, attempt)
    session.execute(
        update(Step)
        .where(Step.job_id == job_id, Step.number == number, Step.state == State.QUEUED)
        .values(state=State.RUNNING, attempt=attempt, started_ms=now_ms())
    )


def finish_step(
    session: Session,
    job_id: int,
    attempt: int,
    number: int,
    outcome: Outcome,
    log: tuple[int, int] = (0, 0),
    facts: dict[str, Any] | None = None,
) -> None:
    """Notes how the step ended, or that it was skipped. ``log`` is how many bytes and lines it wrote."""
    lock_attempt(session, job_id, attempt)
    values: dict[str, Any] = {
        "state": outcome.state,
        "reason": outcome.reason,
        "message": outcome.message,
        "exit_code": outcome.exit_code,
        "attempt": attempt,
        "log_bytes": log[0],
        "log_lines": log[1],
        "finished_ms": now_ms(),
    }
    if facts is not None:
        values["facts"] = facts
    session.execute(update(Step).where(Step.job_id == job_id, Step.number == number).values(values))


def set_log_size(session: Session, job_id: int, attempt: int, number: int, log: tuple[int, int]) -> None:
    """Notes how many bytes and lines are stored of a step that has not ended."""
    lock_attempt(session, job_id, attempt)
    values = {"log_bytes": log[0], "log_lines": log[1]}
    session.execute(update(Step).where(Step.job_id == job_id, Step.number == number).values(values))


def set_step_facts(session: Session, job_id: int, attempt: int, number: int, facts: dict[str, Any]) -> None:
    """Replaces the step's facts: its image, what it pushed, its Dockerfile's instructions."""
    lock_attempt(session, job_id, attempt)
    session.execute(update(Step).where(Step.job_id == job_id, Step.number == number).values(facts=facts))


def note_job(session: Session, job_id: int, attempt: int, sentence: str) -> None:
    """Sets the message that says what the job waits for. The outcome replaces it when the job ends."""
    lock_attempt(session, job_id, attempt)
    session.execute(update(Job).where(Job.id == job_id).values(message=sentence))


def steps_by_number(session: Session, job_id: int) -> dict[int, Step]:
    """The job's steps by their numbers."""
    return {step.number: step for step in session.scalars(select(Step).where(Step.job_id == job_id))}
