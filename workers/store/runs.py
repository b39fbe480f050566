"""Runs: queueing, canceling, and reading them with their jobs and steps."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from typing import Any, cast

from sqlalchemy import ColumnElement, Insert, bindparam, insert, literal, literal_column, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from pipelines.state import Reason, State
from pipelines.trigger import Event, Trigger
from workers.db.models import Job, Repo, Run, Step
from workers.db.session import db_now_ms, now_ms
from workers.labels import NO_LABELS
from workers.store.common import table
from workers.store.completion import lock_run, settle
from workers.store.lanes import turns_after
from workers.store.statuses import open_statuses
from workers.store.superseding import EVENTS, supersede_runs

_TITLE_CHARS_MAX = 200
_DEFAULTS = dict.fromkeys(("problems", "warnings", "left_out"), "'[]'")
_DEFAULTS |= {"state": f"'{State.QUEUED.value}'", "sentence": "''", "cancel_by": "''"}


@dataclass(frozen=True)
class NewRun:
    """A run to be queued. ``parent_run_id`` is the run that it repeats."""

    repo_id: int
    trigger: Trigger
    parent_run_id: int | None = None


@dataclass(frozen=True)
class Queued:
    """A queued run. ``job_id`` is its only job so far.

    After the commit, notify workers of ``job_id``, and of the cancellation of the runs ``superseded``.
    """

    run_id: int
    number: int
    job_id: int
    superseded: tuple[int, ...] = ()


@dataclass(frozen=True)
class CancelResult:
    """The run's state after a cancellation. ``ready_job_ids`` may start now: notify workers after the commit."""

    state: State
    ready_job_ids: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class RunFilter:
    """Which runs of a repository a list has: those of a branch, in a state, of an event. Empty and None: of any."""

    branch: str = ""
    state: State | None = None
    event: Event | None = None

    def conditions(self) -> Iterator[tuple[ColumnElement[Any], object]]:
        """The columns that it names, and the values that they must have."""
        named = ((Run.branch, self.branch), (Run.state, self.state), (Run.event, self.event))
        return ((cast("ColumnElement[Any]", column), value) for column, value in named if value)


@dataclass(frozen=True)
class StepPlace:
    """A step with its job, run and repository."""

    step: Step
    job: Job
    run: Run
    repo: Repo


def queue_run(session: Session, repo_id: int, trigger: Trigger, parent_run_id: int | None = None) -> Queued:
    """A new run with the repository's next number and one job without a plan: its worker plans the run."""
    (queued,) = queue_runs(session, [NewRun(repo_id, trigger, parent_run_id)])
    return queued


def queue_runs(session: Session, new: Sequence[NewRun]) -> list[Queued]:
    """Queues a batch of runs with few statements. Each repository's runs are numbered in this order."""
    if not new:
        return []
    connection, (count_on, new_run, new_jobs, new_statuses) = session.connection(), _queueing()
    before: dict[int, int] = {}
    newest_wins: dict[int, list[str]] = {}
    has_token: dict[int, bool] = {}
    # Lock order, to avoid deadlocks: repositories by id.
    for repo_id, more in sorted(Counter(each.repo_id for each in new).items()):
        found = connection.execute(count_on, {"repo": repo_id, "count": more}).one()
        counted, newest_wins[repo_id], has_token[repo_id] = found
        before[repo_id] = counted - more
    numbers = {repo_id: count(last + 1) for repo_id, last in before.items()}
    places = [(each.repo_id, next(numbers[each.repo_id])) for each in new]
    rows = [
        {"repo_id": repo_id, "number": number, "parent_run_id": each.parent_run_id} | trigger_columns(each.trigger)
        for each, (repo_id, number) in zip(new, places, strict=True)
    ]
    connection.execute(new_run, rows)
    made: dict[tuple[int, int], Queued] = {}
    for repo_id, last in before.items():
        # The rows of one INSERT get ids in their order.
        ids = sorted(connection.execute(new_jobs, {"repo": repo_id, "last": last}))
        if has_token[repo_id]:
            connection.execute(new_statuses, {"repo": repo_id, "last": last})
        made |= {
            (repo_id, number): Queued(run_id, number, job_id) for number, (run_id, job_id) in enumerate(ids, last + 1)
        }
    queued = [made[place] for place in places]
    superseded: list[Run] = []
    for at in _newest(new, newest_wins):
        older = supersede_runs(session, session.get_one(Run, queued[at].run_id))
        queued[at] = replace(queued[at], superseded=tuple(run.id for run in older if not run.state.final))
        superseded += older
    # Last, for it locks jobs of other runs. The scheduler wakes workers for them.
    turns_after(session, *superseded)
    return queued


def _newest(new: Sequence[NewRun], newest_wins: Mapping[int, Collection[str]]) -> Collection[int]:
    """Which of the new runs cancel older ones: the last of each branch or pull request, unless it is a rerun."""
    last: dict[tuple[int, str, str], int] = {}
    for at, each in enumerate(new):
        event = each.trigger.event
        if each.parent_run_id is None and event in EVENTS and event.value in newest_wins[each.repo_id]:
            last[each.repo_id, event.value, each.trigger.ref] = at
    return last.values()


@cache
def _queueing() -> tuple[ReturningUpdate[int, list[str], bool], Insert, ReturningInsert[int, int], Insert]:
    """The statements of every webhook, built once: building them costs more than running them."""
    repos, runs, jobs = table(Repo), table(Run), table(Job)
    mine, counted = repos.c.id == bindparam("repo"), repos.c.last_number + bindparam("count")
    # Values that are the same for every new run are literals in the statement: as parameters they cost time per row.
    literals: dict[str, ColumnElement[str]] = {name: literal_column(text) for name, text in _DEFAULTS.items()}
    theirs = (runs.c.repo_id == bindparam("repo")) & (runs.c.number > bindparam("last"))
    # rung_ms is set because the caller sends a wake-up at once; if that is lost, the scheduler sends another.
    lane: ColumnElement[str] = literal_column(f"'{NO_LABELS}'")
    of_run = select(runs.c.id, runs.c.repo_id, literal(1), lane, now_ms(), now_ms())
    first_jobs = of_run.where(theirs).order_by(runs.c.number)
    return (
        update(repos)
        .where(mine)
        .values(last_number=counted)
        .returning(repos.c.last_number, repos.c.newest_wins, repos.c.forge_token_sealed != ""),
        insert(runs).values(created_ms=now_ms(), **literals),
        insert(jobs)
        .from_select(["run_id", "repo_id", "number", "lane", "rung_ms", "created_ms"], first_jobs)
        .returning(jobs.c.run_id, jobs.c.id),
        open_statuses(),
    )


def trigger_columns(trigger: Trigger) -> dict[str, object]:
    """The columns of a run that its trigger fills."""
    title = trigger.pull_request.title if trigger.pull_request else ""
    return {
        "trigger": trigger.model_dump_json(),
        "event": trigger.event,
        "ref": trigger.ref,
        "branch": trigger.branch,
        "sha": trigger.sha,
        "title": (title or trigger.message.strip().partition("\n")[0].strip())[:_TITLE_CHARS_MAX],
        "message": trigger.message,
        "author": trigger.author or trigger.sender,
    }


def rerun(session: Session, run_id: int) -> Queued:
    """Queues a run of the same trigger, with a new number."""
    run = session.get_one(Run, run_id)
    return queue_run(session, run.repo_id, trigger_of(run), parent_run_id=run.id)


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


def runs_of(
    session: Session, repo_id: int, before: int | None = None, limit: int = 30, only: RunFilter | None = None
) -> Sequence[Run]:
    """The repository's newest runs first, those with a number below ``before`` that ``only`` lets through."""
    query = select(Run).where(Run.repo_id == repo_id).order_by(Run.number.desc()).limit(limit)
    for column, value in () if only is None else only.conditions():
        query = query.where(column == value)
    return session.scalars(query if before is None else query.where(Run.number < before)).all()


def recent_runs(session: Session, limit: int = 30) -> list[tuple[Run, Repo]]:
    """The newest runs of all repositories."""
    query = select(Run, Repo).join(Repo, Repo.id == Run.repo_id).order_by(Run.id.desc()).limit(limit)
    return [(run, repo) for run, repo in session.execute(query)]


def last_runs(session: Session, repos: Collection[Repo]) -> dict[int, Run]:
    """The newest run of each of these repositories, by the repository's id. One without runs is left out."""
    # A look at the index for each repository, which no statistics and no number of runs can turn into anything else.
    newest = select(Run.id).where(Run.repo_id == Repo.id, Run.number == Repo.last_number).correlate(Repo)
    ids = session.scalars(select(newest.scalar_subquery()).where(Repo.id.in_([repo.id for repo in repos])))
    found = session.scalars(select(Run).where(Run.id.in_([run_id for run_id in ids if run_id is not None])))
    return {run.repo_id: run for run in found}


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


def runs_past_retention(session: Session, days: int, limit: int = 100) -> Sequence[int]:
    """The oldest runs that ended more than ``days`` days ago and still have logs."""
    query = select(Run.id).where(Run.finished_ms < now_ms() - days * 86_400_000, Run.logs_deleted_ms.is_(None))
    return session.scalars(query.order_by(Run.finished_ms).limit(limit)).all()


def forget_logs(session: Session, run_ids: Sequence[int]) -> None:
    """Notes that these runs' logs were deleted."""
    session.execute(update(Run).where(Run.id.in_(run_ids)).values(logs_deleted_ms=now_ms()))
