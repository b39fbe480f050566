"""Planning: the plan of a run becomes its jobs and steps. A write from a stale attempt is refused."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from sqlalchemy.orm import Session

from pipelines import plan as plans
from pipelines.plan import JobPlan, Plan
from pipelines.problem import Problem
from pipelines.state import Outcome, State
from pipelines.trigger import Trigger
from workers.db.models import Job, Step
from workers.db.session import db_now_ms
from workers.labels import lane_of
from workers.store.common import plain
from workers.store.jobs.completion import Finished, end_job, lock_job, nothing_ran, settle, settle_alone
from workers.store.jobs.lanes import turns_after
from workers.store.jobs.recording import waiting_service
from workers.store.reruns.carrying import Carried, carried_over
from workers.store.runs.concurrency_groups import groups_of
from workers.store.runs.queueing import trigger_columns


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
        end_job(session, job, nothing_ran(run, _nothing_to_do(plan)))
        return Planned(None, ready_job_ids=settle(session, run).ready_job_ids)
    carried = carried_over(session, run, plan)
    plan = carried.placed(plan)
    to_run = [each for each in plan.jobs if each.number not in carried.jobs]
    groups = groups_of(session, run, plan.model_copy(update={"jobs": tuple(to_run)}), group_scope)
    names = {each.name for each in to_run}
    ready = [each for each in to_run if not names & set(each.needs) and carried.may_begin(each)]
    mine = next((each for each in ready if may_have(each) and groups.may_begin(session, each, ready)), None)
    first = mine or next(iter((*ready, *to_run, *plan.jobs)))
    now = db_now_ms(session)
    jobs = [
        job,
        *(Job(run_id=run.id, repo_id=run.repo_id, created_ms=run.created_ms, rung_ms=now) for _ in plan.jobs[1:]),
    ]
    for row, each in zip(jobs, [first, *(other for other in plan.jobs if other is not first)], strict=True):
        _fill(row, each, ready=each in ready)
        if each in to_run:
            groups.enter(row, each)
    if mine is None:
        job.state, job.lease_owner, job.lease_until_ms, job.started_ms = State.QUEUED, "", None, None
    for row in jobs:
        free = row.ready and row.group_key is None and row.state is not State.RUNNING
        row.lane = lane_of(row.labels) if free else None
    session.add_all(jobs)
    session.flush()
    _add_steps(session, jobs, job.origin, plan, carried)
    may_start = [row.id for row in jobs if row.lane is not None]
    # A run that was canceled meanwhile has no worker that would see that, where its jobs wait now.
    # One whose needs were all carried over may be skipped, or the run may have ended.
    if groups.newer_runs or run.cancel_requested_ms is not None or carried.jobs:
        may_start += settle_alone(session, run)
    may_start += turns_after(session, *groups.superseded.runs, run, planned=True)
    superseded = [older.id for older in groups.superseded.running]
    return Planned(mine, [row.id for row in jobs], list(dict.fromkeys(may_start)), superseded)


def _add_steps(session: Session, jobs: Sequence[Job], origin: int, plan: Plan, carried: Carried) -> None:
    """The steps of all jobs: queued, or as they ended in the run from which they are carried over."""
    by_number = {each.number: each for each in plan.jobs}
    for row in jobs:
        if row.number in carried.jobs:
            carried.take(session, row, row.number)
            continue
        row.files_of = carried.files[row.number].id if row.number in carried.files else None
        done = carried.steps.get(row.number, {})
        session.add_all(step for step in _steps(row.id, origin, by_number[row.number]) if step.number not in done)
        carried.take_steps(session, row, done.values())
    session.flush()


def set_trigger(session: Session, job_id: int, attempt: int, trigger: Trigger, *, on_branch: bool) -> None:
    """Stores what the worker found out about the commit: message, author, changed files, and where it is."""
    run, _job = lock_job(session, job_id, attempt)
    run.on_branch = on_branch
    for name, value in trigger_columns(trigger).items():
        setattr(run, name, value)
    session.flush()


def _nothing_to_do(plan: Plan) -> str:
    reasons = "; ".join(f"{left.what}: {left.why}" for left in plan.left_out)
    return f"nothing in the pipeline runs for this trigger ({reasons})." if reasons else "the pipeline has no steps."


def _fill(job: Job, plan: JobPlan, *, ready: bool) -> None:
    job.number, job.name, job.file = plan.number, plan.name, plan.file
    job.cell, job.labels, job.needs = dict(plan.cell), dict(plan.labels), list(plan.needs)
    job.on_success, job.on_failure, job.ready = plan.on_success, plan.on_failure, ready
    job.plan = plan.model_dump_json()
    names = {step.number: step.name for step in plan.steps}
    job.services = [_service(service, names) for service in plan.services]
    # The forge has answered: if it is away later, it has its whole time again.
    job.delays, job.delayed_since_ms, job.delay_reason = 0, None, ""


def _steps(job_id: int, attempt: int, plan: JobPlan) -> Iterable[Step]:
    names = {step.number: step.name for step in plan.steps}
    for step in plan.steps:
        image = _image(step, names)
        yield Step(job_id=job_id, attempt=attempt, number=step.number, name=step.name, kind=step.kind, image=image)


def _service(service: plans.Service, names: dict[int, str]) -> dict[str, Any]:
    image = service.container.image
    shown = image.name if isinstance(image, plans.NamedImage) else f"the image of '{names.get(image.step, '')}'"
    return waiting_service({"name": service.name, "image": shown, "after": names.get(service.build, "")})


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
