"""Runs: queueing, canceling, and reading them with their jobs and steps."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count

from sqlalchemy import (
    ColumnElement,
    Insert,
    bindparam,
    exists,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
    update,
)  # fmt: skip
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from pipelines.state import Reason, State
from pipelines.trigger import Trigger
from workers.db.models import Job, Repo, Run, Step
from workers.db.session import db_now_ms, now_ms
from workers.store.approvals import approver, drop_replaced
from workers.store.common import table
from workers.store.completion import lock_run, settle
from workers.store.roles import seen_by
from workers.store.statuses import open_statuses
from workers.store.superseding import EVENTS, supersede_runs

_TITLE_CHARS_MAX = 200
_DEFAULTS = dict.fromkeys(("problems", "warnings", "left_out"), "'[]'")
_DEFAULTS |= {"state": f"'{State.QUEUED.value}'", "sentence": "''", "cancel_by": "''"}


@dataclass(frozen=True)
class NewRun:
    """A run to be queued. ``parent_run_id`` is the run that it repeats.

    ``held``: it waits for approval, unless its commit was approved before.
    """

    repo_id: int
    trigger: Trigger
    parent_run_id: int | None = None
    held: bool = False


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
class StepPlace:
    """A step with its job, run and repository."""

    step: Step
    job: Job
    run: Run
    repo: Repo


def queue_run(
    session: Session, repo_id: int, trigger: Trigger, parent_run_id: int | None = None, *, held: bool = False
) -> Queued:
    """A new run with the repository's next number and one job without a plan: its worker plans the run."""
    (queued,) = queue_runs(session, [NewRun(repo_id, trigger, parent_run_id, held)])
    return queued


def queue_runs(session: Session, new: Sequence[NewRun]) -> list[Queued]:
    """Queues a batch of runs with few statements. Each repository's runs are numbered in this order."""
    if not new:
        return []
    connection, (count_on, new_run, new_jobs, new_statuses) = session.connection(), _queueing()
    before: dict[int, int] = {}
    newest_wins: dict[int, list[str]] = {}
    has_token: dict[int, bool] = {}
    has_held: dict[int, bool] = {}
    # Lock order, to avoid deadlocks: repositories by id.
    for repo_id, more in sorted(Counter(each.repo_id for each in new).items()):
        found = connection.execute(count_on, {"repo": repo_id, "count": more}).one()
        counted, newest_wins[repo_id], has_token[repo_id], has_held[repo_id] = found
        before[repo_id] = counted - more
    numbers = {repo_id: count(last + 1) for repo_id, last in before.items()}
    places = [(each.repo_id, next(numbers[each.repo_id])) for each in new]
    rows = [
        {"repo_id": repo_id, "number": number, "parent_run_id": each.parent_run_id}
        | trigger_columns(each.trigger)
        | _approval(session, each)
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
    for at in _newest(new, newest_wins):
        older = supersede_runs(session, session.get_one(Run, queued[at].run_id))
        queued[at] = replace(queued[at], superseded=tuple(run.id for run in older))
    for each, its in zip(new, queued, strict=True):
        has_held[each.repo_id] |= each.held
        if each.parent_run_id is None and has_held[each.repo_id]:
            drop_replaced(session, session.get_one(Run, its.run_id))
    return queued


def _approval(session: Session, new: NewRun) -> dict[str, object]:
    """Whether the run is held, and who has approved its commit before."""
    by = approver(session, new.repo_id, new.trigger) if new.held else ""
    return {"held": new.held and not by, "approved_by": by}


def _newest(new: Sequence[NewRun], newest_wins: Mapping[int, Collection[str]]) -> Collection[int]:
    """Which of the new runs cancel older ones: the last of each branch or pull request, unless it is a rerun."""
    last: dict[tuple[int, str, str], int] = {}
    for at, each in enumerate(new):
        event = each.trigger.event
        if each.parent_run_id is None and event in EVENTS and event.value in newest_wins[each.repo_id]:
            last[each.repo_id, event.value, each.trigger.ref] = at
    return last.values()


@cache
def _queueing() -> tuple[ReturningUpdate[int, list[str], bool, bool], Insert, ReturningInsert[int, int], Insert]:
    """The statements of every webhook, built once: building them costs more than running them."""
    repos, runs, jobs = table(Repo), table(Run), table(Job)
    mine, counted = repos.c.id == bindparam("repo"), repos.c.last_number + bindparam("count")
    # Values that are the same for every new run are literals in the statement: as parameters they cost time per row.
    literals: dict[str, ColumnElement[str]] = {name: literal_column(text) for name, text in _DEFAULTS.items()}
    theirs = (runs.c.repo_id == bindparam("repo")) & (runs.c.number > bindparam("last"))
    # rung_ms is set because the caller sends a wake-up at once; if that is lost, the scheduler sends another.
    first_jobs = select(runs.c.id, literal(1), ~runs.c.held, now_ms(), now_ms()).where(theirs).order_by(runs.c.number)
    held = exists().where(runs.c.repo_id == repos.c.id, runs.c.held)
    return (
        update(repos)
        .where(mine)
        .values(last_number=counted)
        .returning(repos.c.last_number, repos.c.newest_wins, repos.c.forge_token_sealed != "", held),
        insert(runs).values(created_ms=now_ms(), **literals),
        insert(jobs)
        .from_select(["run_id", "number", "ready", "rung_ms", "created_ms"], first_jobs)
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


def rerun(session: Session, run_id: int, *, held: bool = False) -> Queued:
    """Queues a run of the same trigger, with a new number."""
    run = session.get_one(Run, run_id)
    return queue_run(session, run.repo_id, trigger_of(run), parent_run_id=run.id, held=held)


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


def runs_of(session: Session, repo_id: int, before: int | None = None, limit: int = 30) -> Sequence[Run]:
    """The repository's newest runs first, those with a number below ``before``."""
    query = select(Run).where(Run.repo_id == repo_id).order_by(Run.number.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(Run.number < before)).all()


def recent_runs(session: Session, limit: int = 30, viewer: int | None = None) -> list[tuple[Run, Repo]]:
    """The newest runs of all repositories that the viewer sees (see ``roles``)."""
    query = select(Run, Repo).join(Repo, Run.repo_id == Repo.id).order_by(Run.id.desc())
    if viewer is not None:
        # Only the newest of each repository can be among the newest of all.
        newest = Run.number > Repo.last_number - limit
        query = select(Run, Repo).join(Repo, _of_repos()).where(seen_by(viewer), newest).order_by((Run.id + 0).desc())
    return [(run, repo) for run, repo in session.execute(query.limit(limit))]


def last_runs(session: Session, viewer: int | None = None) -> dict[int, Run]:
    """The newest run of each repository that the viewer sees, by the repository's id, where there is one."""
    query = select(Run).join(Repo, _of_repos() & (Repo.last_number == Run.number)).where(seen_by(viewer))
    return {run.repo_id: run for run in session.scalars(query)}


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


def steps_of(session: Session, job_id: int) -> Sequence[Step]:
    """The job's steps by number."""
    return session.scalars(select(Step).where(Step.job_id == job_id).order_by(Step.number)).all()


def steps_of_run(session: Session, run_id: int) -> Sequence[Step]:
    """All steps of all jobs of a run, by job and number."""
    query = select(Step).join(Job, Job.id == Step.job_id).where(Job.run_id == run_id)
    return session.scalars(query.order_by(Job.number, Step.number)).all()


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
    session: Session, days: int, limit: int = 100, after: tuple[int, int] = (0, 0)
) -> list[tuple[int, int]]:
    """The oldest runs that ended more than ``days`` days ago and still have logs, as (when it ended, run).

    ``after`` is the last of an earlier call, to go on behind it.
    """
    query = select(Run.finished_ms, Run.id).where(
        Run.finished_ms < now_ms() - days * 86_400_000,
        Run.logs_deleted_ms.is_(None),
        tuple_(Run.finished_ms, Run.id) > after,
    )
    rows = session.execute(query.order_by(Run.finished_ms, Run.id).limit(limit))
    return [(finished_ms or 0, run_id) for finished_ms, run_id in rows]


def forget_logs(session: Session, run_ids: Sequence[int]) -> None:
    """Notes that these runs' logs were deleted."""
    session.execute(update(Run).where(Run.id.in_(run_ids)).values(logs_deleted_ms=now_ms()))
