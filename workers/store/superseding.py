"""Newest wins: a newer run of the same branch or pull request cancels older ones.

This holds for pushes and pull requests only: runs of tags, deployments, crons or by hand are never canceled for a newer
one. Lock order, to avoid deadlocks: older runs are locked newest first.
"""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.state import Reason, State
from pipelines.trigger import Event, Trigger
from workers.db.models import Job, Run
from workers.db.session import db_now_ms
from workers.store.completion import end_job, lock_run, settle, superseded_outcome

EVENTS = frozenset({Event.PUSH, Event.PULL_REQUEST})


def supersede_runs(session: Session, run: Run) -> list[Run]:
    """Cancels the older runs. Returns those with running jobs: their workers must be told of the cancellation.

    The new run takes over their changed files: conditions on paths see the changes of all canceled runs.
    """
    older = _older(session, run)
    for each in older:
        each.cancel_requested_ms, each.cancel_by = db_now_ms(session), f"run {run.number}"
        each.cancel_reason = Reason.SUPERSEDED
        settle(session, each)
    if older and run.event is Event.PUSH:
        first = Trigger.model_validate_json(older[-1].trigger)
        trigger = Trigger.model_validate_json(run.trigger)
        run.trigger = trigger.model_copy(update={"previous_sha": first.previous_sha}).model_dump_json()
    return [each for each in older if not each.state.final]


def supersede_jobs(session: Session, run: Run, group_keys: Collection[str]) -> list[Run]:
    """Cancels older runs' jobs in these groups, for this (locked) run. Returns the runs with running jobs to cancel."""
    if run.event not in EVENTS or not group_keys:
        return []
    running = []
    for each in _older(session, run):
        query = select(Job).where(Job.run_id == each.id, Job.group_key.in_(group_keys), Job.cancel_by == "")
        jobs = [job for job in session.scalars(query) if not job.state.final]
        for job in jobs:
            job.cancel_by = f"run {run.number}"
            if job.state is State.QUEUED:
                end_job(session, job, superseded_outcome(job.cancel_by))
        if jobs:
            settle(session, each)
        if any(job.state is State.RUNNING for job in jobs):
            running.append(each)
    return running


def newer_runs(session: Session, run: Run, group_keys: Collection[str]) -> dict[str, str]:
    """For each group in which a newer run of this branch or pull request was planned first: that run, in words."""
    if run.event not in EVENTS or not group_keys:
        return {}
    query = select(Job.group_key, Run.number).join(Run, Run.id == Job.run_id).order_by(Run.id)
    same = (Run.repo_id == run.repo_id, Run.event == run.event, Run.ref == run.ref, Run.id > run.id)
    rows = session.execute(query.where(Job.group_key.in_(group_keys), *same))
    return {key: f"run {number}" for key, number in rows if key is not None}


def _older(session: Session, run: Run) -> list[Run]:
    """Unfinished, uncanceled older runs of the same branch or pull request, newest first, locked."""
    same = (Run.repo_id == run.repo_id, Run.event == run.event, Run.ref == run.ref, Run.id < run.id)
    undone = Run.state.in_([State.QUEUED, State.RUNNING]) & Run.cancel_requested_ms.is_(None)
    ids = session.scalars(select(Run.id).where(*same, undone).order_by(Run.id.desc())).all()
    # Check again under the lock: the run may have ended since the query.
    locked = (lock_run(session, run_id) for run_id in ids)
    return [each for each in locked if not each.state.final and each.cancel_requested_ms is None]
