"""Carrying over: jobs of an earlier run become rows of the run that repeats it, as they ended there."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.needs import EndedJob, failed_needs, skip_after
from pipelines.plan import BuildStep, CommandsStep, JobPlan, Plan, PluginStep
from pipelines.state import State
from workers.db.models import Job, Run, Step
from workers.store.jobs.completion import lock_run, reload_jobs
from workers.store.logs import share_logs
from workers.store.reruns.choice import Rerun, stored
from workers.store.reruns.copies import copy_artifacts, copy_reports

_Cell = tuple[tuple[str, str], ...]
_OTHER_TRUST = (
    "All jobs run: the earlier run was {then}, and this one is {now}, because its branches and tags have changed since."
)
_PARENT_GONE = "All jobs run: the earlier run has been removed."
_LOG_DELETED = "its log was deleted with those of run {number}"


@dataclass(frozen=True)
class Carried:
    """What a planned run takes over: ended jobs by the number of the planned one, and steps that have pushed.

    ``steps`` are by the number of the planned job, and of the step. ``files`` are the jobs whose files are gone on
    with, by the number of the planned one.
    """

    number: int = 0
    jobs: Mapping[int, Job] = field(default_factory=dict)
    steps: Mapping[int, Mapping[int, Step]] = field(default_factory=dict)
    files: Mapping[int, Job] = field(default_factory=dict)

    def placed(self, plan: Plan) -> Plan:
        """The plan, whose jobs that go on with files are for the machine that has them."""
        jobs = (
            each.model_copy(update={"labels": {**each.labels, "hostname": self.files[each.number].host}})
            if each.number in self.files
            else each
            for each in plan.jobs
        )
        return plan.model_copy(update={"jobs": tuple(jobs)}) if self.files else plan

    def may_begin(self, plan: JobPlan) -> bool:
        """Whether the job runs, as far as what it needs was carried over. One that needs none of it does."""
        needed = [job for job in self.jobs.values() if job.name in plan.needs]
        if not needed:
            return True
        failed = failed_needs(EndedJob(job.name, job.state, job.reason) for job in needed)
        return not skip_after(failed, on_success=plan.on_success, on_failure=plan.on_failure)

    def take(self, session: Session, row: Job, number: int) -> None:
        """Makes the row, which has an id, what the earlier job is: its verdict, its steps, their logs and artifacts."""
        source = self.jobs[number]
        row.carried_from = source.carried_from or self.number
        row.state, row.reason, row.message, row.detail = source.state, source.reason, source.message, source.detail
        row.host, row.started_ms, row.finished_ms = source.host, source.started_ms, source.finished_ms
        row.services, row.pulls = source.services, source.pulls
        row.attempt, row.key, row.ready, row.lane = max(row.attempt, 1), row.key or secrets.token_hex(8), True, None
        row.lease_owner, row.lease_until_ms = "", None
        session.flush()
        self.take_steps(session, row, _steps_of(session, source))

    def take_steps(self, session: Session, row: Job, steps: Collection[Step]) -> None:
        """Adds the steps to the job as they ended, with all that they left: they do not run in it."""
        if not steps:
            return
        source = session.get_one(Job, next(iter(steps)).job_id)
        logged = share_logs(session, source.id, {step.number: step.attempt for step in steps}, (row.id, row.origin))
        session.add_all(self._copy(step, row, source, has_log=step.number in logged) for step in steps)
        session.flush()
        numbers = [step.number for step in steps]
        copy_artifacts(session, source, row, numbers)
        copy_reports(session, source, row, numbers)

    def _copy(self, step: Step, row: Job, source: Job, *, has_log: bool) -> Step:
        number = step.carried_from or source.carried_from or self.number
        gone = step.log_bytes > 0 and not has_log
        message = "; ".join(filter(None, (step.message, _LOG_DELETED.format(number=number) if gone else "")))
        return Step(
            job_id=row.id, attempt=row.origin, number=step.number, name=step.name, kind=step.kind, image=step.image,
            state=step.state, reason=step.reason, message=message, exit_code=step.exit_code,
            log_bytes=step.log_bytes if has_log else 0, log_lines=step.log_lines if has_log else 0,
            facts=dict(step.facts), started_ms=step.started_ms, finished_ms=step.finished_ms, carried_from=number,
        )  # fmt: skip


NOTHING_CARRIED = Carried()


def carried_over(session: Session, run: Run, plan: Plan) -> Carried:
    """What the (locked) run takes over of the one that it repeats. Where that is nothing, the run notes why.

    Only a run of the same trust counts: what an untrusted one did must not become a trusted result, and what a trusted
    one made must not reach an untrusted one.
    """
    asked = stored(run.rerun)
    if asked is None or asked["again"] is None:
        return NOTHING_CARRIED
    parent = session.get(Run, run.parent_run_id) if run.parent_run_id else None
    if parent is None:
        return _not_possible(run, asked, _PARENT_GONE)
    lock_run(session, parent.id)  # Lock order: the newer run first. It is not removed before this transaction ends.
    if parent.on_branch is not run.on_branch:
        words = {True: "trusted", False: "untrusted", None: "not planned"}
        return _not_possible(run, asked, _OTHER_TRUST.format(then=words[parent.on_branch], now=words[run.on_branch]))
    earlier = {(job.name, _cell(job.cell)): job for job in reload_jobs(session, parent.id) if job.state.final}
    return _matched(session, plan, parent.number, earlier, asked)


def _matched(
    session: Session, plan: Plan, number: int, earlier: Mapping[tuple[str, _Cell], Job], asked: Rerun
) -> Carried:  # fmt: skip
    jobs: dict[int, Job] = {}
    steps_of: dict[int, Mapping[int, Step]] = {}
    files: dict[int, Job] = {}
    for each in plan.jobs:
        source = earlier.get((each.name, _cell(each.cell)))
        steps = _steps_of(session, source) if source else []
        if source is None or not _same_steps(each, steps):
            continue
        if source.id not in (asked["again"] or ()):
            jobs[each.number] = source
        elif source.id in asked["files"]:
            files[each.number] = source
            steps_of[each.number] = before_failure(each, steps)
        elif source.id not in asked["named"]:
            pushed = {step.number: step for step in steps if step.kind == "push" and step.state is State.PASSED}
            steps_of[each.number] = pushed
    return Carried(number, jobs, steps_of, files)


def before_failure(plan: JobPlan, steps: Collection[Step]) -> dict[int, Step]:
    """The steps that passed and had begun before one failed: the others run. By their numbers.

    Builds run again, because the image is gone; so do steps beside the others, which end with the job, and all services
    of a Compose file: what one has written into the others is gone with them.
    """
    ends = [step.finished_ms for step in steps if step.state is State.FAILED and step.finished_ms is not None]
    if not ends:
        return {}
    again = {
        each.number
        for each in plan.steps
        if isinstance(each, BuildStep)
        or (isinstance(each, CommandsStep | PluginStep) and each.detach)
        or (isinstance(each, PluginStep) and each.project)
    }
    return {
        step.number: step
        for step in steps
        if step.state is State.PASSED and (step.started_ms or 0) < min(ends) and step.number not in again
    }


def _not_possible(run: Run, asked: Rerun, why: str) -> Carried:
    run.rerun = {**asked, "note": why}
    return NOTHING_CARRIED


def _cell(cell: Mapping[str, str]) -> _Cell:
    return tuple(sorted(cell.items()))


def _steps_of(session: Session, job: Job) -> list[Step]:
    return list(session.scalars(select(Step).where(Step.job_id == job.id).order_by(Step.number)))


def _same_steps(plan: JobPlan, steps: Collection[Step]) -> bool:
    """A condition may have left out another one this time, or the pipeline file of the target branch has changed."""
    return [(step.number, step.name, step.kind) for step in plan.steps] == [
        (step.number, step.name, step.kind) for step in steps
    ]
