"""Approvals: a run that waits for one is held, so that no worker can claim it and it has no turn in any group.

An approval is for one commit of one author into one branch, by the id of the author's account at the forge: the next
commit, or the same for another branch, needs another one. Where the forge sent no such id, it is for one run alone:
two of them may have different authors. Lock order, to avoid deadlocks: runs are locked newest first.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from pipelines.state import Reason, State
from pipelines.trigger import PULL_REQUEST_EVENTS, SENT_TREE_REFS, Event, Trigger
from workers.db.models import Approval, Job, Repo, Run, Status
from workers.db.session import db_now_ms, now_ms
from workers.labels import NO_LABELS
from workers.store.common import insert_or, table
from workers.store.jobs.completion import cancellation_outcome, end_job, lock_job, lock_run, settle, settle_alone
from workers.store.jobs.lanes import turns_after

_RUN = "run:"  # in place of an author's id, before the id of the one run that was approved
_REPLACING = frozenset({Event.PUSH, Event.PULL_REQUEST, Event.PULL_REQUEST_CLOSED})


class NotHeldError(Exception):
    """The run does not wait for approval: it was approved, has ended, or never had to wait."""


class _Key(NamedTuple):
    """What an approval is for."""

    sha: str
    author_id: str
    target_branch: str


def _key(trigger: Trigger, run_id: int | None) -> _Key | None:
    """What must be approved for a run of this trigger; None where nothing that is approved could be meant."""
    pull = trigger.pull_request
    known = pull is not None and pull.author_id and not pull.author_id.startswith(_RUN)
    author_id = pull.author_id if pull is not None and known else "" if run_id is None else f"{_RUN}{run_id}"
    if not (trigger.sha and author_id):
        return None
    return _Key(trigger.sha, author_id, pull.target_branch if pull else "")


def approver(session: Session, repo_id: int, trigger: Trigger, run_id: int | None = None) -> str:
    """Who has approved this commit of this author into this branch, or this run; empty if it is not approved."""
    key = _key(trigger, run_id)
    if key is None:
        return ""
    same = (Approval.sha == key.sha, Approval.author_id == key.author_id, Approval.target_branch == key.target_branch)
    return session.scalar(select(Approval.approved_by).where(Approval.repo_id == repo_id, *same)) or ""


def note_writer(session: Session, repo_id: int, trigger: Trigger) -> None:
    """Remembers a commit that runs because its author may write: later events of it then need no approval either."""
    key = _key(trigger, None)
    if key and trigger.pull_request and trigger.pull_request.author_may_write:
        _add(session, repo_id, key, f"{trigger.sender} at the forge")


def _add(session: Session, repo_id: int, key: _Key, by: str) -> None:
    insert = insert_or(session, Approval).values(repo_id=repo_id, **key._asdict(), approved_by=by, created_ms=now_ms())
    session.execute(insert.on_conflict_do_nothing(index_elements=["repo_id", *_Key._fields]))


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
    key = _key_of(run)
    if key is not None:
        _add(session, run.repo_id, key, by)
    job_ids: list[int] = []
    for each in held:
        if each is run or (key is not None and _key_of(each) == key):
            job_ids += _release(session, each, by)
    session.flush()
    return job_ids


def _key_of(run: Run) -> _Key | None:
    return _key(Trigger.model_validate_json(run.trigger), run.id)


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
    of_commit = (Run.repo_id == repo_id) & (Run.sha == sha) & ~Run.ref.startswith(SENT_TREE_REFS)
    yes = select(func.max(Run.created_ms)).where(of_commit, Run.ref == ref, Run.on_branch.is_(True))
    since_ms = session.scalar(yes)
    if since_ms is None:
        return False
    # About pull requests git is asked only where they are of no fork, and their refs are no branches.
    asked = (Run.ref == ref) | Run.event.not_in(PULL_REQUEST_EVENTS)
    newer = Run.finished_ms.is_(None) | (Run.finished_ms >= since_ms)
    no = select(Run.id).where(of_commit, asked, Run.on_branch.is_(False), newer)
    return session.scalar(no.limit(1)) is None
