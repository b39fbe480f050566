"""Faults of machines: a job that broke because of the machine it ran on is queued again, for another one or for later.

It has as many attempts as a job whose worker vanished, and both are counted together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import update
from sqlalchemy.orm import Session

from pipelines.state import Outcome, Reason, State
from workers.db.models import Job
from workers.db.session import db_now_ms
from workers.store.common import table
from workers.store.jobs.completion import cancellation_outcome, end_job, lock_job, settle
from workers.store.jobs.lanes import turns_after
from workers.store.jobs.leases import QUEUED_AGAIN, start_steps_over

PAUSE_S = 5
"""Time for another worker to claim the job, and for an engine that restarts to answer again."""
FAULTS = frozenset({Reason.ENGINE_GONE, Reason.ENGINE_UNSUITABLE, Reason.DISK_FULL, Reason.NO_BUILDER, Reason.INTERNAL})


@dataclass(frozen=True)
class GivenBack:
    """Whether a job was queued again, or has ended as canceled; else its attempts are used up: it was tried
    ``attempts`` times. After the commit, notify workers of ``ready_job_ids``.
    """

    given_back: bool
    attempts: int
    ready_job_ids: Sequence[int] = field(default_factory=list)


def is_fault(outcome: Outcome) -> bool:
    """Whether the machine is to blame, and another one may do better."""
    return outcome.state is State.BROKEN and outcome.reason in FAULTS


def give_back(session: Session, job_id: int, attempt: int, outcome: Outcome, attempts_max: int) -> GivenBack:
    """Queues the job again after a pause, unless it has lost ``attempts_max`` machines. Raises StaleAttemptError."""
    run, job = lock_job(session, job_id, attempt)
    lost = job.lost + 1
    if stopped := cancellation_outcome(run, job):
        end_job(session, job, stopped)
        return GivenBack(given_back=True, attempts=lost, ready_job_ids=settle(session, run).ready_job_ids)
    if lost >= attempts_max:
        return GivenBack(given_back=False, attempts=lost)
    values: dict[str, object] = {"lost": lost, "lane": None, "not_before_ms": db_now_ms(session) + PAUSE_S * 1000}
    # A forge's delays are counted from 1.
    values |= {"delays": 0, "delayed_since_ms": None, "delay_reason": f"{job.host}: {outcome.message}"}
    session.execute(update(table(Job)).where(Job.id == job_id).values(QUEUED_AGAIN | values))
    start_steps_over(session, job_id, job.origin)
    return GivenBack(given_back=True, attempts=lost, ready_job_ids=turns_after(session, run))
