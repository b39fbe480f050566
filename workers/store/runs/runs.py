"""Runs: canceling them, and reading them with their jobs and steps."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import BigInteger, ColumnElement, column, func, select, tuple_, update, values
from sqlalchemy.orm import Session

from pipelines.state import Reason, State
from pipelines.trigger import Event, Trigger
from workers.db.models import Job, Repo, Run, Step
from workers.db.session import db_now_ms, now_ms
from workers.store.accounts.roles import seen_by
from workers.store.common import DAY_MS
from workers.store.jobs.completion import lock_run, settle


@dataclass(frozen=True)
class CancelResult:
    """The run's state after a cancellation. ``ready_job_ids`` may start now: notify workers after the commit."""

    state: State
    ready_job_ids: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class RunFilter:
    """Which runs of a repository a list has. Empty and None: any.

    ``branch`` also has the pull requests into it, ``ref`` only what was pushed there. ``text`` is a part of the title,
    or the beginning of the commit's id. ``run_search`` alone knows ``author`` and ``text``.
    """

    branch: str = ""
    state: State | None = None
    event: Event | None = None
    ref: str = ""
    author: str = ""
    text: str = ""

    def conditions(self) -> Iterator[tuple[ColumnElement[Any], object]]:
        """The columns with an index that it names, and the values that they must have; the narrowest one first."""
        named = ((Run.ref, self.ref), (Run.branch, self.branch), (Run.event, self.event), (Run.state, self.state))
        return ((cast("ColumnElement[Any]", column), value) for column, value in named if value)


@dataclass(frozen=True)
class StepPlace:
    """A step with its job, run and repository."""

    step: Step
    job: Job
    run: Run
    repo: Repo


def trigger_of(run: Run) -> Trigger:
    """The trigger that started the run."""
    return Trigger.model_validate_json(run.trigger)


def request_cancel(session: Session, run_id: int, by: str, reason: Reason = Reason.CANCELED) -> CancelResult:
    """Requests a cancellation: waiting jobs end now, running ones when their workers stop them. Idempotent."""
    run = lock_run(session, run_id)
    ready: list[int] = []
    if not run.state.final and run.cancel_requested_ms is None:
        run.cancel_requested_ms, run.cancel_by, run.cancel_reason = db_now_ms(session), by, reason
        ready = settle(session, run).ready_job_ids
    return CancelResult(run.state, ready)


def run_by_id(session: Session, run_id: int) -> Run | None:
    """The run with this id."""
    return session.get(Run, run_id)


def run_by_number(session: Session, repo_id: int, number: int) -> Run | None:
    """The repository's run with this number."""
    return session.scalars(select(Run).where(Run.repo_id == repo_id, Run.number == number)).one_or_none()


def count_runs(session: Session, repo_id: int) -> int:
    """How many runs the repository has."""
    return session.scalar(select(func.count()).select_from(Run).where(Run.repo_id == repo_id)) or 0


def runs_of(
    session: Session, repo_id: int, before: int | None = None, limit: int = 30, only: RunFilter | None = None
) -> Sequence[Run]:
    """The repository's newest runs first, those with a number below ``before`` that ``only`` lets through."""
    query = select(Run).where(Run.repo_id == repo_id).order_by(Run.number.desc()).limit(limit)
    if only is not None and (conditions := [column == value for column, value in only.conditions()]):
        return session.scalars(query.where(*conditions, *([] if before is None else [Run.number < before]))).all()
    before = before or (session.scalar(select(Repo.last_number).where(Repo.id == repo_id)) or 0) + 1
    found: list[Run] = []
    reach = limit
    # Without a range of numbers, PostgreSQL may read and sort all of the repository's runs. Where old runs were
    # removed, a range may hold few or none: the next one is wider.
    while len(found) < limit and before > 1:
        ranged = query.where(Run.number >= before - reach, Run.number < before).limit(limit - len(found))
        found += session.scalars(ranged).all()
        before, reach = before - reach, reach * 4
    return found


def recent_runs(session: Session, limit: int = 30, viewer: int | None = None) -> list[tuple[Run, Repo]]:
    """The newest runs of all repositories that the viewer sees (see ``roles``)."""
    query = select(Run, Repo).join(Repo, Run.repo_id == Repo.id).order_by(Run.id.desc())
    if viewer is not None:
        # Only the newest of each repository can be among the newest of all; retention leaves no gap in them.
        newest = Run.number > Repo.last_number - limit
        query = select(Run, Repo).join(Repo, _of_repos()).where(seen_by(viewer), newest).order_by((Run.id + 0).desc())
    return [(run, repo) for run, repo in session.execute(query.limit(limit))]


def last_runs(session: Session, repos: Collection[Repo]) -> dict[int, Run]:
    """The newest run of each of these repositories, by the repository's id. One without runs is left out."""
    if not repos:
        return {}
    # A look at the index for each repository, which no statistics and no number of runs can turn into anything else.
    columns = column("repo_id", BigInteger()), column("number", BigInteger())
    last = values(*columns, name="last").data([(repo.id, repo.last_number) for repo in repos]).cte("last")
    newest = select(Run.id).where(Run.repo_id == last.c.repo_id, Run.number == last.c.number).correlate(last)
    ids = session.scalars(select(newest.scalar_subquery()).select_from(last)).all()
    found = session.scalars(select(Run).where(Run.id.in_([run_id for run_id in ids if run_id is not None])))
    return {run.repo_id: run for run in found}


def _of_repos() -> ColumnElement[bool]:
    """Joins runs to repositories. The sum makes SQLite look the runs of each repository up: it would read all runs."""
    return Run.repo_id == Repo.id + 0


def previous_run(session: Session, run: Run) -> Run | None:
    """The run before this one on the same branch of the same repository."""
    query = select(Run).where(Run.repo_id == run.repo_id, Run.branch == run.branch, Run.number < run.number)
    return session.scalars(query.order_by(Run.number.desc()).limit(1)).one_or_none()


def jobs_of(session: Session, run_id: int) -> Sequence[Job]:
    """The run's jobs by number."""
    return session.scalars(select(Job).where(Job.run_id == run_id).order_by(Job.number)).all()


def job_by_id(session: Session, job_id: int) -> Job | None:
    """The job with this id."""
    return session.get(Job, job_id)


def job_by_key(session: Session, key: str) -> Job | None:
    """The job with this random name."""
    return session.scalars(select(Job).where(Job.key == key, Job.key != "")).one_or_none()


def steps_of(session: Session, job_id: int) -> Sequence[Step]:
    """The job's steps by number."""
    return session.scalars(select(Step).where(Step.job_id == job_id).order_by(Step.number)).all()


def steps_of_run(session: Session, run_id: int) -> Sequence[Step]:
    """All steps of all jobs of a run, by job and number."""
    # Not a join: without statistics PostgreSQL reads the whole table for it.
    numbers = {job.id: job.number for job in session.execute(select(Job.id, Job.number).where(Job.run_id == run_id))}
    steps = session.scalars(select(Step).where(Step.job_id.in_(numbers)))
    return sorted(steps, key=lambda step: (numbers[step.job_id], step.number))


def step_by_id(session: Session, step_id: int) -> Step | None:
    """The step with this id."""
    return session.get(Step, step_id)


def step_place(session: Session, step_id: int) -> StepPlace | None:
    """The step with its job, run and repository. These tell where its log is, and who may read it."""
    query = (
        select(Step, Job, Run, Repo)
        .join(Job, Job.id == Step.job_id)
        .join(Run, Run.id == Job.run_id)
        .join(Repo, Repo.id == Run.repo_id)
        .where(Step.id == step_id)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else StepPlace(*row)


def runs_past_retention(
    session: Session, days: int, limit: int = 100, after: tuple[int, int] = (0, 0), repo_id: int | None = None
) -> list[tuple[int, int]]:
    """The oldest runs that ended more than ``days`` days ago and still have logs, as (when it ended, run).

    ``after`` is the last of an earlier call, to go on behind it. With ``repo_id``, only this repository's.
    """
    query = select(Run.finished_ms, Run.id).where(
        Run.finished_ms < now_ms() - days * DAY_MS,
        Run.logs_deleted_ms.is_(None),
        tuple_(Run.finished_ms, Run.id) > after,
    )
    if repo_id is not None:
        query = query.where(Run.repo_id == repo_id)
    rows = session.execute(query.order_by(Run.finished_ms, Run.id).limit(limit))
    return [(finished_ms or 0, run_id) for finished_ms, run_id in rows]


def forget_logs(session: Session, run_ids: Sequence[int]) -> None:
    """Notes that these runs' logs were deleted."""
    session.execute(update(Run).where(Run.id.in_(run_ids)).values(logs_deleted_ms=now_ms()))
