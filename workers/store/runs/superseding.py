"""Newest wins: a newer run of the same branch or pull request cancels older ones.

This holds for pushes and pull requests only: runs of tags, deployments, crons or by hand are never canceled for a newer
one. Lock order, to avoid deadlocks: older runs are locked newest first.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.state import Reason, State
from pipelines.trigger import Event, Trigger
from workers.db.models import NEWEST_WINS_EVENTS, Job, Run
from workers.db.session import db_now_ms
from workers.store.jobs.completion import end_job, lock_run, settle_alone, superseded_outcome


def supersede_runs(session: Session, run: Run) -> list[Run]:
    """Cancels the older runs, and returns them. The caller must call ``turns_after`` for them, last in its transaction.

    The workers of those with running jobs must be told of the cancellation. The new run takes over their changed
    files: conditions on paths see the changes of all canceled runs.
    """
    older = _older(session, run)
    for each in older:
        each.cancel_requested_ms, each.cancel_by = db_now_ms(session), f"run {run.number}"
        each.cancel_reason = Reason.SUPERSEDED
        settle_alone(session, each)
    if older and run.event is Event.PUSH:
        first = Trigger.model_validate_json(older[-1].trigger)
        trigger = Trigger.model_validate_json(run.trigger)
        run.trigger = trigger.model_copy(update={"previous_sha": first.previous_sha}).model_dump_json()
    return older


@dataclass(frozen=True)
class Superseded:
    """The runs whose jobs were canceled, and those of them with running jobs: their workers must be told."""

    runs: list[Run] = field(default_factory=list)
    running: list[Run] = field(default_factory=list)


def supersede_jobs(session: Session, run: Run, group_keys: Collection[str]) -> Superseded:
    """Cancels older runs' jobs in these groups, for this (locked) run.

    The caller must call ``turns_after`` for the runs, last in its transaction.
    """
    found = Superseded()
    if run.event not in NEWEST_WINS_EVENTS or not group_keys:
        return found
    for each in _older(session, run):
        query = select(Job).where(Job.run_id == each.id, Job.group_key.in_(group_keys), Job.cancel_by == "")
        jobs = [job for job in session.scalars(query) if not job.state.final]
        for job in jobs:
            job.cancel_by = f"run {run.number}"
            if job.state is State.QUEUED:
                end_job(session, job, superseded_outcome(job.cancel_by))
        if jobs:
            settle_alone(session, each)
            found.runs.append(each)
        if any(job.state is State.RUNNING for job in jobs):
            found.running.append(each)
    return found


def newer_runs(session: Session, run: Run, group_keys: Collection[str]) -> dict[str, str]:
    """For each group in which a newer run of this branch or pull request was planned first: that run, in words."""
    if run.event not in NEWEST_WINS_EVENTS or not group_keys:
        return {}
    same = (Run.repo_id == run.repo_id, Run.event == run.event, Run.ref == run.ref)
    # From each job to its run, never the other way round: most runs of the branch have ended long ago. Naming every
    # state lets the database search the index by all of its columns, past the group's history.
    number = select(Run.number).where(Run.id == Job.run_id, *same).correlate(Job).scalar_subquery()
    jobs = (Job.group_key.in_(group_keys), Job.state.in_(list(State)), Job.run_id > run.id)
    rows = session.execute(select(Job.group_key, number).where(*jobs).order_by(Job.run_id))
    return {key: f"run {number}" for key, number in rows if key is not None and number is not None}


def _older(session: Session, run: Run) -> list[Run]:
    """Unfinished, uncanceled older runs of the same branch or pull request, newest first, locked."""
    same = (Run.repo_id == run.repo_id, Run.event == run.event, Run.ref == run.ref, Run.id < run.id)
    undone = Run.finished_ms.is_(None) & Run.cancel_requested_ms.is_(None)
    ids = session.scalars(select(Run.id).where(*same, undone).order_by(Run.id.desc())).all()
    # Check again under the lock: the run may have ended since the query.
    locked = (lock_run(session, run_id) for run_id in ids)
    return [each for each in locked if not each.state.final and each.cancel_requested_ms is None]
