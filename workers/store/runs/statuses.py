"""Commit statuses that are not reported to the forge yet. They are derived from the runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Insert, and_, bindparam, case, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from pipelines.commit_id import SHA1_DIGITS, SHA256_DIGITS
from pipelines.state import State
from pipelines.trigger import SENT_TREE_REFS
from workers.db.models import Job, Repo, Run, SharedForgeToken, Status
from workers.db.session import db_now_ms, now_ms
from workers.store.common import table

_SO_FAR = {State.QUEUED: 1, State.RUNNING: 2}
_ENDED = 3
_RETRIED_MS = 24 * 3_600_000
"""A new token retries the failed reports of runs that are younger than this."""


@dataclass(frozen=True)
class PendingStatus:
    """A run whose status a reporter has claimed until ``claimed_until_ms``. ``newer``: a newer run replaces it."""

    run: Run
    repo: Repo
    jobs: Sequence[Job]
    status: Status
    claimed_until_ms: int
    newer: bool


def open_statuses() -> Insert:
    """The INSERT of a status row for each run of a repository with a number above ``last``, but for sent trees."""
    runs, statuses = table(Run), table(Status)
    theirs = (runs.c.repo_id == bindparam("repo")) & (runs.c.number > bindparam("last"))
    theirs &= ~runs.c.ref.startswith(SENT_TREE_REFS)
    empty = literal({}, statuses.c.told_workflows.type)
    rows = select(runs.c.id, empty, literal(0), now_ms(), literal(0), literal("")).where(theirs)
    return insert(statuses).from_select(
        ["run_id", "told_workflows", "progress", "next_try_ms", "tries", "reason"], rows
    )


def progress() -> ColumnElement[int]:
    """A number that changes whenever a job of ``Run`` is added, starts or ends."""
    return (
        select(func.coalesce(func.sum(case(_SO_FAR, value=Job.state, else_=_ENDED)), 0))
        .where(Job.run_id == Run.id)
        .correlate(Run)
        .scalar_subquery()
    )


def pending_statuses(session: Session, limit: int = 100) -> Sequence[int]:
    """Runs with a state that is not reported to the forge yet, and whose report is due."""
    news = or_(Status.told.is_(None), Status.told != Run.state, Status.progress != progress(), Status.tries > 0)
    # Some triggers name no commit: it is known only after a worker asked git.
    certain = or_(func.length(Run.sha).in_((SHA1_DIGITS, SHA256_DIGITS)), Run.finished_ms.is_not(None))
    query = (
        select(Status.run_id).join(Run, Run.id == Status.run_id).where(Status.next_try_ms <= now_ms(), news, certain)
    )
    return session.scalars(query.order_by(Status.next_try_ms, Status.run_id).limit(limit)).all()


def claim_status(session: Session, run_id: int, hold_ms: int) -> PendingStatus | None:
    """Claims the run's status for ``hold_ms``. None where another reporter has claimed it."""
    claimed_until_ms = db_now_ms(session) + hold_ms
    due = and_(Status.run_id == run_id, Status.next_try_ms <= now_ms())
    claimed = session.execute(update(Status).where(due).values(next_try_ms=claimed_until_ms).returning(Status.run_id))
    if claimed.one_or_none() is None:
        return None
    run, repo, status = session.execute(
        select(Run, Repo, Status).join(Repo, Repo.id == Run.repo_id).join(Status).where(Run.id == run_id)
    ).one()
    jobs = session.scalars(select(Job).where(Job.run_id == run_id).order_by(Job.number)).all()
    return PendingStatus(run, repo, jobs, status, claimed_until_ms, _has_newer(session, run))


def _has_newer(session: Session, run: Run) -> bool:
    other = aliased(Run)
    same = and_(other.repo_id == run.repo_id, other.sha == run.sha, other.event == run.event)
    same &= ~other.ref.startswith(SENT_TREE_REFS)
    return bool(session.scalar(select(exists().where(same, other.number > run.number))))


def mark_reported(session: Session, pending: PendingStatus, told: Mapping[str, State], *, over: bool) -> None:
    """Stores that the forge has the states ``told``: the run's under an empty name, its workflows' by their names.

    ``over``: there will be nothing more to report.
    """
    again = None if over else now_ms()
    values = {"progress": progress_of(pending.jobs), "tries": 0, "reason": "", "next_try_ms": again}
    _note(session, pending, told, values)


def mark_not_reported(
    session: Session, pending: PendingStatus, told: Mapping[str, State], reason: str, pause_ms: int | None
) -> None:
    """Stores that the forge has only the states ``told``, and why. The next try is after the pause, or (None) never."""
    again = None if pause_ms is None else now_ms() + pause_ms
    _note(session, pending, told, {"tries": pending.status.tries + 1, "reason": reason, "next_try_ms": again})


def _note(session: Session, pending: PendingStatus, told: Mapping[str, State], values: dict[str, object]) -> None:
    mine = and_(Status.run_id == pending.run.id, Status.next_try_ms == pending.claimed_until_ms)
    workflows = {name: state.value for name, state in told.items() if name}
    values |= {"told": told.get(""), "told_workflows": workflows}
    session.execute(update(Status).where(mine).values(values))


def reported_states(status: Status) -> dict[str, State]:
    """The states that the forge has: the run's under an empty name, its workflows' by their names."""
    told = {name: State(word) for name, word in status.told_workflows.items()}
    return told if status.told is None else {"": status.told, **told}


def progress_of(jobs: Sequence[Job]) -> int:
    """``progress`` for these jobs."""
    return sum(_SO_FAR.get(job.state, _ENDED) for job in jobs)


def may_have_token() -> ColumnElement[bool]:
    """Whether there is a token with which the statuses of the repository ``repos`` may be reported.

    A token of an owner counts, also for another host: only its reporter knows which host a repository is on.
    """
    repos, shared = table(Repo), table(SharedForgeToken)
    pattern = shared.c.owner + "/%"  # a "_" in it matches more than itself, which costs a row and no more
    of_owner = exists().where(or_(shared.c.owner == "", repos.c.name.like(pattern))).correlate(repos)
    return (repos.c.forge_token_sealed != "") | of_owner


def retry_statuses(session: Session, repo_id: int) -> None:
    """Retries the reports that were given up for the repository's runs of the last day."""
    _retry(session, Run.repo_id == repo_id)


def retry_statuses_of_owner(session: Session, owner: str) -> None:
    """``retry_statuses`` for all repositories of an owner, or with an empty one for all."""
    theirs = select(Repo.id).where(Repo.name.startswith(f"{owner}/" if owner else "", autoescape=True))
    _retry(session, Run.repo_id.in_(theirs))


def _retry(session: Session, whose: ColumnElement[bool]) -> None:
    recent = select(Run.id).where(whose, Run.created_ms > now_ms() - _RETRIED_MS)
    given_up = and_(Status.run_id.in_(recent), Status.next_try_ms.is_(None), Status.reason != "")
    session.execute(update(Status).where(given_up).values(next_try_ms=now_ms(), tries=0))


def status_problem(session: Session, run_id: int) -> str:
    """Why the run's state could not be reported to the forge; empty where it was, or will be soon."""
    return session.scalar(select(Status.reason).where(Status.run_id == run_id)) or ""
