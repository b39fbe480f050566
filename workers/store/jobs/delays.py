"""Delays: jobs that are given back because the forge is away, and are tried again after a pause.

A delayed job keeps its turn in its concurrency group: those behind it wait. It has no lane, so that no worker looks at
it, until the scheduler ends the delay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from pipelines.state import State
from workers.db.models import Job
from workers.db.session import db_now_ms, now_ms
from workers.labels import lane_of
from workers.store.common import CLOCK_STEP_MS, table
from workers.store.jobs.completion import cancellation_outcome, end_job, lock_job, lock_run, settle
from workers.store.jobs.lanes import turns_after
from workers.store.jobs.leases import QUEUED_AGAIN, start_steps_over

FIRST_PAUSE_S = 2
PAUSE_S_MAX = 60
ASKED_PAUSE_S_MAX = 3_600
_DOUBLED_MAX = 10


@dataclass(frozen=True)
class Delay:
    """Why a job is delayed, for how long it is tried in all, and the pause that the forge asks for, or 0."""

    reason: str
    try_for_s: int
    asked_pause_s: int = 0


@dataclass(frozen=True)
class Delayed:
    """Whether a job was ``given_back``; else it was tried for long enough: ``tries`` times in ``tried_s`` seconds."""

    given_back: bool
    tries: int
    tried_s: int


def delay(session: Session, job_id: int, attempt: int, why: Delay) -> Delayed:
    """Gives the job back for a pause, unless it was tried for long enough. Raises StaleAttemptError.

    A pause that the forge asks for is kept, also if it ends later than the time for which the job is tried.
    """
    run, job = lock_job(session, job_id, attempt)
    now, tries = db_now_ms(session), job.delays + 1
    since_ms = now if job.delayed_since_ms is None else min(job.delayed_since_ms, now)
    left_ms = since_ms + why.try_for_s * 1000 - now
    if stopped := cancellation_outcome(run, job):
        end_job(session, job, stopped)
        settle(session, run)
        return Delayed(given_back=True, tries=tries, tried_s=0)
    if left_ms <= 0:
        return Delayed(given_back=False, tries=tries, tried_s=(now - since_ms) // 1000)
    pause_ms = min(_pause_s(job.delays) * 1000, left_ms)
    pause_ms = max(pause_ms, min(why.asked_pause_s, ASKED_PAUSE_S_MAX) * 1000)
    values = {"not_before_ms": now + pause_ms, "delay_reason": why.reason, "delayed_since_ms": since_ms}
    values |= {"delays": tries, "lane": None}
    session.execute(update(table(Job)).where(Job.id == job_id).values(QUEUED_AGAIN | values))
    start_steps_over(session, job_id, job.origin)
    turns_after(session, run)
    return Delayed(given_back=True, tries=tries, tried_s=(now - since_ms) // 1000)


def _pause_s(delays: int) -> int:
    return int(min(FIRST_PAUSE_S * 2 ** min(delays, _DOUBLED_MAX), PAUSE_S_MAX))


def due_delays(session: Session, limit: int = 100) -> Sequence[int]:
    """The jobs whose pause is over, those longest over first."""
    # A pause that is too long is from before the clock was set back.
    in_future = Job.not_before_ms > now_ms() + ASKED_PAUSE_S_MAX * 1000 + CLOCK_STEP_MS
    due = (Job.not_before_ms.is_not(None), or_(Job.not_before_ms <= now_ms(), in_future))
    return session.scalars(select(Job.id).where(*due).order_by(Job.not_before_ms, Job.id).limit(limit)).all()


def end_delay(session: Session, job_id: int) -> list[int]:
    """Lets workers claim the job again. Returns the jobs that may start now: notify workers after the commit.

    To avoid deadlocks, one run per transaction.
    """
    run_id = session.scalar(select(Job.run_id).where(Job.id == job_id))
    if run_id is None:
        return []
    run = lock_run(session, run_id)
    job = session.get_one(Job, job_id, populate_existing=True)
    if job.state is not State.QUEUED or job.not_before_ms is None:
        return []
    # The caller sends a wake-up at once; if that is lost, the scheduler sends another.
    job.not_before_ms, job.rung_ms = None, db_now_ms(session)
    free = job.ready and job.group_key is None
    if free:
        job.lane = lane_of(job.labels)
    given = turns_after(session, run)
    return [job.id, *given] if free else given
