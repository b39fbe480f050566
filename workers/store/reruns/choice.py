"""Which jobs of a run run again when a part of it is asked for. The others are carried over as they ended."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.needs import EndedJob, failed_needs, skip_after
from pipelines.plan import CommandsStep, JobPlan, PluginStep
from pipelines.state import Reason, State
from workers.db.models import Job, Step
from workers.db.session import db_now_ms


class Rerun(TypedDict):
    """What a run keeps of the request that made it a re-run: who asked, why, and for what.

    ``again`` are the jobs of the earlier run that run again, by their ids, or None: all of them. ``named`` are those
    that were asked for by name: only these push again what was pushed. ``files`` are those that go on from the step
    that failed, with the files as they were. ``note`` is a sentence that says why nothing could be carried over.
    """

    by: str
    reason: str
    what: str
    again: list[int] | None
    named: list[int]
    files: list[int]
    note: str


@dataclass(frozen=True)
class Asked:
    """What a person asks to run again: all that did not pass, or the jobs of these titles. Nothing: the whole run.

    With ``from_step`` failed jobs go on from the step that failed.
    """

    failed: bool = False
    titles: tuple[str, ...] = ()
    from_step: bool = False

    def __bool__(self) -> bool:
        return self.failed or bool(self.titles)


@dataclass(frozen=True)
class Choice:
    """The jobs that run again, by their ids, and those among them that push again or go on with their files."""

    again: frozenset[int]
    named: frozenset[int]
    files: frozenset[int] = frozenset()


class NothingToRunError(Exception):
    """The request means no job. The message says why."""


def choose(session: Session, jobs: Sequence[Job], asked: Asked) -> Choice:
    """What runs again of a run with these ``jobs``, which have ended. Raises NothingToRunError.

    A job that needs one of these runs again, too, unless it passed and has pushed. So does one that a chosen job needs
    and that did not pass, or whose artifacts have expired.
    """
    named = _named(jobs, asked.titles)
    chosen = named | {job.id for job in jobs if asked.failed and _did_not_pass(job)}
    if not chosen:
        raise NothingToRunError("All of its jobs passed. Name a job, or run all of it again.")
    now = db_now_ms(session)
    files = _with_files(jobs, chosen, now) if asked.from_step else set()
    named -= files
    pushed = _pushed(session, jobs) - chosen
    while more := _more(jobs, chosen, pushed, now) - chosen:
        chosen |= more
    return Choice(frozenset(chosen), frozenset(named), frozenset(files))


def has_kept_files(job: Job, now_ms: int) -> bool:
    """Are the files of a failed job kept, so that it can go on from its failed step?"""
    return job.state is State.FAILED and job.kept_until_ms is not None and job.kept_until_ms > now_ms


def _with_files(jobs: Sequence[Job], chosen: Collection[int], now_ms: int) -> set[int]:
    """The failed jobs among the chosen ones: the files of each must be kept."""
    failed = [job for job in jobs if job.id in chosen and job.state is State.FAILED]
    for job in failed:
        if not has_kept_files(job, now_ms):
            what = f"The files of job {job.title!r} are" if job.name else "Its files are"
            raise NothingToRunError(f"{what} not kept (any more): HEADWAY_KEEP_FAILED_H says for how long.")
    if not failed:
        raise NothingToRunError("No step of these jobs failed.")
    return {job.id for job in failed}


def _named(jobs: Sequence[Job], titles: Iterable[str]) -> set[int]:
    """The jobs of these titles. The name alone of a workflow stands for all cells of its matrix."""
    found: set[int] = set()
    for title in titles:
        alike = {job.id for job in jobs if title and title in {job.name, job.title}}
        if not alike:
            known = ", ".join(repr(job.title) for job in jobs if job.name)
            raise NothingToRunError(f"It has no job {title!r}. It has {known or 'no job with a name'}.")
        found |= alike
    return found


def _did_not_pass(job: Job) -> bool:
    return job.state is not State.PASSED and not (job.state is State.SKIPPED and job.reason is Reason.CONDITION)


def _more(jobs: Sequence[Job], chosen: Collection[int], pushed: Collection[int], now_ms: int) -> set[int]:
    """The jobs that run again because of those that are chosen."""
    found: set[int] = set()
    again = [job for job in jobs if job.id in chosen]
    names = {job.name for job in again}
    found |= {job.id for job in jobs if names & set(job.needs) and job.id not in pushed}
    for job in again:
        needed = [other for other in jobs if other.name in job.needs]
        failed = failed_needs(EndedJob(other.name, other.state, other.reason) for other in needed)
        if failed and skip_after(failed, on_success=job.on_success, on_failure=job.on_failure):
            found |= {other.id for other in needed if other.name in failed and _did_not_pass(other)}
    restored = {name for job in again if job.plan for name in JobPlan.model_validate_json(job.plan).restored_from}
    return found | {job.id for job in jobs if job.name in restored and _has_expired(job, now_ms)}


def _has_expired(job: Job, now_ms: int) -> bool:
    """Whether some of the artifacts that the job kept may be gone."""
    if job.plan is None or job.finished_ms is None:
        return False
    steps = JobPlan.model_validate_json(job.plan).steps
    kept = (step.artifacts for step in steps if isinstance(step, CommandsStep | PluginStep) and step.artifacts)
    return any(each.expire_s is not None and job.finished_ms + each.expire_s * 1000 <= now_ms for each in kept)


def _pushed(session: Session, jobs: Sequence[Job]) -> set[int]:
    """The jobs that passed and have pushed."""
    passed = [job.id for job in jobs if job.state is State.PASSED]
    query = select(Step.job_id).where(Step.job_id.in_(passed), Step.kind == "push", Step.state == State.PASSED)
    return set(session.scalars(query))


def as_stored(asked: Asked, choice: Choice | None, by: str, reason: str) -> Rerun:
    """What the new run keeps of the request."""
    what = "its failed jobs" if asked.failed else ", ".join(asked.titles)
    again = None if choice is None else sorted(choice.again)
    named = [] if choice is None else sorted(choice.named)
    if asked.from_step:
        what = f"{what}, from the step that failed"
    files = [] if choice is None else sorted(choice.files)
    return Rerun(by=by, reason=reason, what=what, again=again, named=named, files=files, note="")


def stored(value: dict[str, Any] | None) -> Rerun | None:
    """The request as a run's row has it."""
    return cast("Rerun | None", value)
