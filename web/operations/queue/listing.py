"""A page of the queue: jobs of all repositories that wait, the oldest first. For administrators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from web.operations.lookup import check_administrator
from web.operations.queue.estimates import Estimate, RunningJob, WaitingJob, estimates
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.db.session import db_now_ms, reading
from workers.store.jobs.queued_jobs import (
    QueueCounts,
    QueuedJob,
    busy_slots,
    first_in_queue,
    past_durations,
    queue_counts,
    queued_jobs,
    unfinished_names,
)
from workers.store.jobs.wait_reasons import why_each_waits
from workers.store.processes.workers import OWNER_MARK

JOBS_SIMULATED_MAX = 200
"""The first jobs of the queue, which have estimates."""

KINDS_MAX = 50
"""Workflows whose earlier durations are read for the estimates: those of running jobs, then those ahead."""

BEHIND_MANY = f"More than {JOBS_SIMULATED_MAX} jobs are ahead of it."
_NOT_FOR_A_WORKER = {
    "forge": "Not before its pause ends.",
    "approval": "A person decides.",
    "needs": "Other jobs have to end before.",
    "concurrency": "Its concurrency group decides.",
}


@dataclass(frozen=True)
class QueueEntry:
    """A job that waits: what it waits for, as a sentence, and when it probably starts."""

    id: int
    repo: str
    run: int
    title: str
    labels: Mapping[str, str]
    created_ms: int
    waits_for: str
    starts_in_ms: int | None
    no_estimate: str


@dataclass(frozen=True)
class QueuePage:
    """Some jobs of the queue. ``next_after`` is the id to go on from, or None at its end."""

    entries: Sequence[QueueEntry]
    next_after: int | None
    now_ms: int


def list_queue(services: OperationServices, actor: Actor, after: int, limit: int) -> QueuePage:
    """The next jobs of the queue. Raises ForbiddenError."""
    check_administrator(actor)
    with reading(services.engine) as session:
        found = queued_jobs(session, after, limit + 1)
        shown = found[:limit]
        names = unfinished_names(session, {each.job.run_id for each in shown if not each.job.ready})
        reasons = why_each_waits(session, [(each.job, each.repo) for each in shown], names)
        guesses = _estimates(session) if shown else {}
        now = db_now_ms(session)
        entries = [_entry(each, reasons[each.job.id], guesses) for each in shown]
    return QueuePage(entries, shown[-1].job.id if len(found) > limit else None, now)


def count_queue(services: OperationServices, actor: Actor) -> QueueCounts:
    """How many jobs wait, and for what. Raises ForbiddenError."""
    check_administrator(actor)
    with reading(services.engine) as session:
        return queue_counts(session)


def _entry(each: QueuedJob, reason: str, guesses: Mapping[int, Estimate]) -> QueueEntry:
    job = each.job
    guess = _estimate(each, guesses)
    labels = {name: value for name, value in job.labels.items() if value}
    title = job.title or "pipeline"
    return QueueEntry(
        job.id,
        each.repo,
        each.run_number,
        title,
        labels,
        job.created_ms,
        reason,
        guess.starts_in_ms,
        guess.why_none,
    )


def _estimate(each: QueuedJob, guesses: Mapping[int, Estimate]) -> Estimate:
    job = each.job
    if job.not_before_ms is not None:
        return Estimate(why_none=_NOT_FOR_A_WORKER["forge"])
    if not job.ready:
        return Estimate(why_none=_NOT_FOR_A_WORKER["needs" if job.needs else "approval"])
    if job.lane is None:
        return Estimate(why_none=_NOT_FOR_A_WORKER["concurrency"])
    return guesses.get(job.id, Estimate(why_none=BEHIND_MANY))


def _estimates(session: Session) -> dict[int, Estimate]:
    """Those of the first jobs of the queue that wait for a worker."""
    ahead, busy = first_in_queue(session, JOBS_SIMULATED_MAX), busy_slots(session)
    kinds = list(dict.fromkeys([*(job.kind for job in busy), *(job.kind for job in ahead)]))
    past = past_durations(session, kinds[:KINDS_MAX])
    now = db_now_ms(session)
    running = [
        RunningJob(
            job.lease_owner.partition(OWNER_MARK)[0], max(0, now - (job.started_ms or now)), past.get(job.kind, ())
        )
        for job in busy
    ]
    waiting = [WaitingJob(job.id, job.asked, past.get(job.kind, ())) for job in ahead]
    return estimates(waiting, running, store.workers(session))
