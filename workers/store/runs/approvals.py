"""Approvals: a run that waits for one is held, so that no worker can claim it and it has no turn in any group.

An approval is for one commit of one author, by the id of the author's account at the forge: the next commit needs
another one. Lock order, to avoid deadlocks: runs are locked newest first.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from pipelines.state import Reason, State
from pipelines.trigger import PULL_REQUEST_EVENTS, Event, Trigger
from workers.db.models import Approval, Job, Repo, Run, Status
from workers.db.session import db_now_ms, now_ms
from workers.labels import NO_LABELS
from workers.store.common import insert_or, table
from workers.store.jobs.completion import cancellation_outcome, end_job, lock_job, lock_run, settle, settle_alone
from workers.store.jobs.lanes import turns_after

_REPLACING = frozenset({Event.PUSH, Event.PULL_REQUEST, Event.PULL_REQUEST_CLOSED})


class NotHeldError(Exception):
    """The run does not wait for approval: it was approved, has ended, or never had to wait."""


def author_id(trigger: Trigger) -> str:
    """The id of the author's account at the forge, if the forge sent it."""
    return trigger.pull_request.author_id if trigger.pull_request else ""


def approver(session: Session, repo_id: int, trigger: Trigger) -> str:
    """Who has approved this commit of this author; empty if it is not approved."""
    query = select(Approval.approved_by).where(
        Approval.repo_id == repo_id, Approval.sha == trigger.sha, Approval.author_id == author_id(trigger)
    )
    return session.scalar(query) or "" if trigger.sha else ""


def note_writer(session: Session, repo_id: int, trigger: Trigger) -> None:
    """Remembers a commit that runs because its author may write: later events of it then need no approval either."""
    if trigger.sha and trigger.pull_request and trigger.pull_request.author_may_write:
        _add(session, repo_id, trigger, f"{trigger.sender} at the forge")


def _add(session: Session, repo_id: int, trigger: Trigger, by: str) -> None:
    row = {"repo_id": repo_id, "sha": trigger.sha, "author_id": author_id(trigger), "approved_by": by}
    insert = insert_or(session, Approval).values(**row, created_ms=now_ms())
    session.execute(insert.on_conflict_do_nothing(index_elements=["repo_id", "sha", "author_id"]))


def hold_run(session: Session, job_id: int, attempt: int) -> None:
    """Gives a claimed job back and holds its run, which is not planned yet. Raises StaleAttemptError."""
    run, job = lock_job(session, job_id, attempt)
    if stopped := cancellation_outcome(run, job):
        end_job(session, job, stopped)
        settle(session, run)
        return
    run.held, run.state, run.started_ms = True, State.QUEUED, None
    job.state, job.ready, job.started_ms = State.QUEUED, False, None
    job.lease_owner, job.lease_until_ms = "", None
    # The forge may have been told only that the run waits for a worker: tell it again.
    session.execute(update(Status).where(Status.run_id == run.id).values(told=None))
    # Later runs waited for this one to be planned. The scheduler wakes workers for them.
    turns_after(session, run)


def approve(session: Session, run_id: int, by: str) -> list[int]:
    """Approves the run's commit and releases all held runs of it. Returns their jobs: wake workers after the commit.

    Raises NotHeldError.
    """
    found = session.get_one(Run, run_id)
    # Lock order: the repository first, as for everything that queues or supersedes runs.
    session.execute(select(Repo.id).where(Repo.id == found.repo_id).with_for_update())
    held = _held(session, found.repo_id)
    run = next((each for each in held if each.id == run_id), None)
    if run is None:
        raise NotHeldError
    trigger = Trigger.model_validate_json(run.trigger)
    _add(session, run.repo_id, trigger, by)
    job_ids: list[int] = []
    for each in held:
        its = Trigger.model_validate_json(each.trigger)
        if (its.sha, author_id(its)) == (trigger.sha, author_id(trigger)):
            job_ids += _release(session, each, by)
    session.flush()
    return job_ids


def _release(session: Session, run: Run, by: str) -> Sequence[int]:
    run.held, run.approved_by = False, by
    jobs = table(Job)
    # The run is not planned yet, so that any worker may plan it: its job asks for no labels.
    now_free = {"ready": True, "lane": NO_LABELS, "rung_ms": now_ms()}
    free = update(jobs).where(jobs.c.run_id == run.id, jobs.c.state == State.QUEUED).values(now_free)
    return session.execute(free.returning(jobs.c.id)).scalars().all()


def drop_replaced(session: Session, run: Run) -> list[Run]:
    """Cancels held runs of older commits of the same branch or pull request: only the newest is worth approving.

    Returns them: the caller must call ``turns_after`` for them, last in its transaction.
    """
    dropped: list[Run] = []
    if run.event not in _REPLACING:
        return dropped
    for each in _held(session, run.repo_id, Run.ref == run.ref, Run.id < run.id):
        if _alike(each.event, run.event):
            each.cancel_requested_ms, each.cancel_by = db_now_ms(session), f"run {run.number}"
            each.cancel_reason = Reason.SUPERSEDED
            settle_alone(session, each)
            dropped.append(each)
    return dropped


def _alike(one: Event, other: Event) -> bool:
    return one is other or {one, other} <= PULL_REQUEST_EVENTS


def _held(session: Session, repo_id: int, *which: ColumnElement[bool]) -> list[Run]:
    """The repository's held runs, newest first, locked."""
    query = select(Run.id).where(Run.repo_id == repo_id, Run.held, *which)
    ids = session.scalars(query.order_by(Run.id.desc())).all()
    return [run for run in (lock_run(session, run_id) for run_id in ids) if _is_held(run)]


def _is_held(run: Run) -> bool:
    return run.held and not run.state.final and run.cancel_requested_ms is None


def was_on_branch(session: Session, repo_id: int, ref: str, sha: str) -> bool:
    """Whether git's last answer was that a branch or tag of the repository has this commit, and this ref too.

    A run is judged between its start and its end, not in the order of the numbers: a "no" counts unless its run had
    ended before the one with the "yes" began.
    """
    of_commit = (Run.repo_id == repo_id) & (Run.sha == sha)
    yes = select(func.max(Run.created_ms)).where(of_commit, Run.ref == ref, Run.on_branch.is_(True))
    since_ms = session.scalar(yes)
    if since_ms is None:
        return False
    # About pull requests git is asked only where they are of no fork, and their refs are no branches.
    asked = (Run.ref == ref) | Run.event.not_in(PULL_REQUEST_EVENTS)
    newer = Run.finished_ms.is_(None) | (Run.finished_ms >= since_ms)
    no = select(Run.id).where(of_commit, asked, Run.on_branch.is_(False), newer)
    return session.scalar(no.limit(1)) is None
