"""Newest wins: a newer run of the same branch or pull request ends what older ones still had to do.

Only pushes and pull requests do so and have it done to them: a tag, a deployment, a cron or what a person started by
hand is never ended for something newer. Older runs are locked newest first, as everywhere.
"""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.state import Reason, State
from pipelines.trigger import Event, Trigger
from workers.db.models import Job, Run
from workers.db.session import db_now_ms
from workers.store.completion import end_job, lock_run, settle, superseded

EVENTS = frozenset({Event.PUSH, Event.PULL_REQUEST})


def supersede_runs(session: Session, run: Run) -> list[Run]:
    """Ends the older runs for this one; those of them on which workers have yet to hear of it.

    The run takes over their changes: what they leave untested is tested by it, also where a path decides.
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
    """Ends older runs' jobs of these concurrency groups for this (locked) run; the runs whose workers are to hear."""
    if run.event not in EVENTS or not group_keys:
        return []
    running = []
    for each in _older(session, run):
        query = select(Job).where(Job.run_id == each.id, Job.group_key.in_(group_keys), Job.cancel_by == "")
        jobs = [job for job in session.scalars(query) if not job.state.final]
        for job in jobs:
            job.cancel_by = f"run {run.number}"
            if job.state is State.QUEUED:
                end_job(session, job, superseded(job.cancel_by))
        if jobs:
            settle(session, each)
        if any(job.state is State.RUNNING for job in jobs):
            running.append(each)
    return running


def newer_runs(session: Session, run: Run, group_keys: Collection[str]) -> dict[str, str]:
    """Those of the groups in which a newer run of the same branch or pull request was planned first, and which."""
    if run.event not in EVENTS or not group_keys:
        return {}
    query = select(Job.group_key, Run.number).join(Run, Run.id == Job.run_id).order_by(Run.id)
    same = (Run.repo_id == run.repo_id, Run.event == run.event, Run.ref == run.ref, Run.id > run.id)
    rows = session.execute(query.where(Job.group_key.in_(group_keys), *same))
    return {key: f"run {number}" for key, number in rows if key is not None}


def _older(session: Session, run: Run) -> list[Run]:
    """Runs of the same branch or pull request that still go on and that nobody has asked to stop, newest first."""
    same = (Run.repo_id == run.repo_id, Run.event == run.event, Run.ref == run.ref, Run.id < run.id)
    undone = Run.state.in_([State.QUEUED, State.RUNNING]) & Run.cancel_requested_ms.is_(None)
    ids = session.scalars(select(Run.id).where(*same, undone).order_by(Run.id.desc())).all()
    # Once more when it is locked: it may have ended meanwhile.
    locked = (lock_run(session, run_id) for run_id in ids)
    return [each for each in locked if not each.state.final and each.cancel_requested_ms is None]
