"""Commit statuses: what the forges have yet to be told. The runs themselves say what; nothing is queued twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Insert, and_, bindparam, case, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from pipelines.commit_id import SHA1_DIGITS, SHA256_DIGITS
from pipelines.state import State
from workers.db.models.runs import Job, Repo, Run, Status
from workers.db.session import db_now_ms, now_ms
from workers.store.common import table

_SO_FAR = {State.QUEUED: 1, State.RUNNING: 2}
_ENDED = 3
_RETRIED_MS = 24 * 3_600_000
"""So long after a run began its status is told after all when the repository gets a new token."""


@dataclass(frozen=True)
class Untold:
    """A run of which its forge is told by whoever holds it until ``held_ms``. ``newer`` where another has its place."""

    run: Run
    repo: Repo
    jobs: Sequence[Job]
    status: Status
    held_ms: int
    newer: bool


def open_statuses() -> Insert:
    """The statement that notes to tell of a repository's runs with numbers above ``last``."""
    runs, statuses = table(Run), table(Status)
    theirs = (runs.c.repo_id == bindparam("repo")) & (runs.c.number > bindparam("last"))
    empty = literal({}, statuses.c.told_workflows.type)
    rows = select(runs.c.id, empty, literal(0), now_ms(), literal(0), literal("")).where(theirs)
    return insert(statuses).from_select(
        ["run_id", "told_workflows", "progress", "next_try_ms", "tries", "reason"], rows
    )


def progress() -> ColumnElement[int]:
    """A number that changes with every job that ``Run`` gets, and with every start and end of one."""
    return (
        select(func.coalesce(func.sum(case(_SO_FAR, value=Job.state, else_=_ENDED)), 0))
        .where(Job.run_id == Run.id)
        .correlate(Run)
        .scalar_subquery()
    )


def untold(session: Session, limit: int = 100) -> Sequence[int]:
    """Runs whose forge does not know how they are, and may be told now."""
    news = or_(Status.told.is_(None), Status.told != Run.state, Status.progress != progress(), Status.tries > 0)
    # Of some triggers the commit is known only when git was asked.
    certain = or_(func.length(Run.sha).in_((SHA1_DIGITS, SHA256_DIGITS)), Run.finished_ms.is_not(None))
    query = (
        select(Status.run_id).join(Run, Run.id == Status.run_id).where(Status.next_try_ms <= now_ms(), news, certain)
    )
    return session.scalars(query.order_by(Status.next_try_ms, Status.run_id).limit(limit)).all()


def hold_status(session: Session, run_id: int, hold_ms: int) -> Untold | None:
    """The run to tell of, for so long nobody else's; None where somebody else was first."""
    held_ms = db_now_ms(session) + hold_ms
    due = and_(Status.run_id == run_id, Status.next_try_ms <= now_ms())
    held = session.execute(update(Status).where(due).values(next_try_ms=held_ms).returning(Status.run_id))
    if held.one_or_none() is None:
        return None
    run, repo, status = session.execute(
        select(Run, Repo, Status).join(Repo, Repo.id == Run.repo_id).join(Status).where(Run.id == run_id)
    ).one()
    jobs = session.scalars(select(Job).where(Job.run_id == run_id).order_by(Job.number)).all()
    return Untold(run, repo, jobs, status, held_ms, _has_newer(session, run))


def _has_newer(session: Session, run: Run) -> bool:
    other = aliased(Run)
    same = and_(other.repo_id == run.repo_id, other.sha == run.sha, other.event == run.event)
    return bool(session.scalar(select(exists().where(same, other.number > run.number))))


def note_told(session: Session, untold: Untold, told: Mapping[str, State], *, over: bool) -> None:
    """The forge has all of ``told``: the run's state under an empty name, its workflows' by theirs.

    ``over``: there will be no more to tell.
    """
    again = None if over else now_ms()
    values = {"progress": progress_of(untold.jobs), "tries": 0, "reason": "", "next_try_ms": again}
    _note(session, untold, told, values)


def note_not_told(
    session: Session, untold: Untold, told: Mapping[str, State], reason: str, pause_ms: int | None
) -> None:
    """The forge has only ``told``, for this reason; the next try comes after the pause, or (None) never."""
    again = None if pause_ms is None else now_ms() + pause_ms
    _note(session, untold, told, {"tries": untold.status.tries + 1, "reason": reason, "next_try_ms": again})


def _note(session: Session, untold: Untold, told: Mapping[str, State], values: dict[str, object]) -> None:
    mine = and_(Status.run_id == untold.run.id, Status.next_try_ms == untold.held_ms)
    workflows = {name: state.value for name, state in told.items() if name}
    values |= {"told": told.get(""), "told_workflows": workflows}
    session.execute(update(Status).where(mine).values(values))


def told_of(status: Status) -> dict[str, State]:
    """What the forge has: the run's state under an empty name, its workflows' by theirs."""
    told = {name: State(word) for name, word in status.told_workflows.items()}
    return told if status.told is None else {"": status.told, **told}


def progress_of(jobs: Sequence[Job]) -> int:
    """``progress`` of these jobs."""
    return sum(_SO_FAR.get(job.state, _ENDED) for job in jobs)


def retry_statuses(session: Session, repo_id: int) -> None:
    """What was given up for the repository's runs of the last day is tried again."""
    recent = select(Run.id).where(Run.repo_id == repo_id, Run.created_ms > now_ms() - _RETRIED_MS)
    given_up = and_(Status.run_id.in_(recent), Status.next_try_ms.is_(None), Status.reason != "")
    session.execute(update(Status).where(given_up).values(next_try_ms=now_ms(), tries=0))


def status_trouble(session: Session, run_id: int) -> str:
    """Why the forge does not know how the run is; empty where it does, or is about to be told."""
    return session.scalar(select(Status.reason).where(Status.run_id == run_id)) or ""
