"""Leases: which worker may run a job. The database decides, no message.

No clock decides when a lease has expired, for a clock may be set: the scheduler sees whether it was renewed.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVarTuple

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from pipelines.plan import JobPlan
from pipelines.state import Outcome, Reason, State
from workers.db.models import Job, Repo, Run, Step
from workers.db.session import now_ms
from workers.labels import fits, lane_of, wanted
from workers.store.common import CLOCK_STEP_MS, table
from workers.store.jobs.completion import cancellation_outcome, end_job, lock_job, lock_run, settle
from workers.store.jobs.concurrency_turns import claimable, has_turn
from workers.store.jobs.lanes import first_in_lanes, turns_after
from workers.store.jobs.recording import waiting_service

Labels = Mapping[str, str]
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True)
class Claim:
    """The right to run a job. ``attempt`` is the fencing token; ``plan`` is None where the run is not planned yet.

    ``takeovers`` is how many of the attempts went on with the job in place of starting it.
    ``key`` is the job's random name, for what it has on the worker's machine.
    """

    job_id: int
    run_id: int
    attempt: int
    plan: JobPlan | None
    key: str
    takeovers: int = 0

    @property
    def origin(self) -> int:
        """The attempt that started the steps: by it the job's containers, folder and logs are found."""
        return self.attempt - self.takeovers


@dataclass(frozen=True)
class Renewal:
    """The answer to a lease renewal. Not ``still_mine`` means: stop, and write nothing more."""

    still_mine: bool
    cancel_requested: bool
    cancel_by: str = ""


@dataclass(frozen=True)
class HeldLease:
    """The lease of a running job. Each renewal changes ``until_ms``. ``lease_s`` is 0 where it is not known."""

    job_id: int
    run_id: int
    attempt: int
    until_ms: int
    lease_s: int


@dataclass(frozen=True)
class Reaped:
    """A job whose lease expired: it is queued again, or has ended as broken or canceled."""

    job_id: int
    run_id: int
    state: State


def claim(
    session: Session, job_id: int, owner: str, lease_s: int, host: str = "", labels: Labels | None = None
) -> Claim | None:
    """Claims the job, if it is queued and may start; its steps start over. None is an ordinary answer.

    A worker with ``labels`` gets only jobs that fit them; None fits every job.
    """
    # Lock order: the run's row first. See workers.store.completion.
    of_job = _from_jobs(select(Run, Job.labels, Repo.name)).where(Job.id == job_id)
    query = of_job.with_for_update(of=Run)
    found = session.execute(query, execution_options={"populate_existing": True}).one_or_none()
    if found is None:
        return None
    run, asked, repo = found
    if run.cancel_requested_ms is not None or not _may_have(labels, asked, repo):
        return None
    jobs = table(Job)
    take = (
        update(jobs)
        .where(jobs.c.id == job_id, claimable())
        .values(
            state=State.RUNNING,
            lane=None,
            attempt=jobs.c.attempt + 1,
            lease_owner=owner,
            lease_until_ms=now_ms() + lease_s * 1000,
            lease_s=lease_s,
            host=host,
            started_ms=now_ms(),
            # At the first claim, not when it is queued: a copy of the database, restored later, gives another.
            key=func.coalesce(func.nullif(jobs.c.key, ""), secrets.token_hex(8)),
        )
        .returning(jobs.c.attempt, jobs.c.takeovers, jobs.c.plan, jobs.c.started_ms, jobs.c.key)
    )
    row = session.execute(take).one_or_none()
    if row is None:
        return None
    attempt, takeovers, plan, started_ms, key = row
    if run.state is State.QUEUED:
        run.state, run.started_ms = State.RUNNING, started_ms
    start_steps_over(session, job_id, attempt - takeovers)
    job_plan = None if plan is None else JobPlan.model_validate_json(plan)
    return Claim(job_id, run.id, attempt, job_plan, key, takeovers)


def _from_jobs(query: Select[*Ts]) -> Select[*Ts]:
    """The query, from jobs joined with their runs and repositories."""
    return query.select_from(Job).join(Run, Run.id == Job.run_id).join(Repo, Repo.id == Run.repo_id)


def _may_have(labels: Labels | None, asked: Labels, repo: str) -> bool:
    return labels is None or fits(wanted(asked, repo), labels)


def start_steps_over(session: Session, job_id: int, origin: int) -> None:
    """The steps of the job are as if none had run. ``origin`` is the one of the attempt that runs them, or did.

    Those that were carried over from another run stay.
    """
    fresh: dict[str, object] = {
        "state": State.QUEUED,
        "reason": None,
        "message": "",
        "exit_code": None,
        "log_bytes": 0,
        "log_lines": 0,
        "facts": {},
        "started_ms": None,
        "finished_ms": None,
        "attempt": origin,
    }
    session.execute(update(table(Step)).where(Step.job_id == job_id, Step.carried_from.is_(None)).values(fresh))
    job = session.get_one(Job, job_id)
    job.services = [waiting_service(each) for each in job.services]
    job.pulls = []


def next_ready(session: Session, labels: Labels | None = None) -> int | None:
    """The job that has waited longest among those that may be claimed and fit these labels."""
    return next(iter(first_in_lanes(session, labels)), None)


def labels_needed(session: Session, job_id: int) -> dict[str, str] | None:
    """The labels that a worker needs for this job; None where it cannot be claimed now."""
    query = _from_jobs(select(Job.labels, Repo.name)).where(Job.id == job_id, claimable())
    row = session.execute(query).one_or_none()
    return None if row is None else wanted(*row)


def renew(session: Session, job_id: int, attempt: int, owner: str, lease_s: int) -> Renewal:
    """Renews the lease for ``lease_s`` seconds from now, and reads whether a cancellation was requested."""
    jobs = table(Job)
    extend = (
        update(jobs)
        .where(is_held(job_id, attempt), jobs.c.lease_owner == owner)
        .values(lease_until_ms=now_ms() + lease_s * 1000, lease_s=lease_s)
    )
    session.execute(extend)
    return renewal(session, job_id, attempt, owner)


def renewal(session: Session, job_id: int, attempt: int, owner: str) -> Renewal:
    """Reads, without a renewal, whether the lease is still held, and whether a cancellation was requested."""
    asked = select(Run.cancel_requested_ms, Run.cancel_by, Job.cancel_by).join(Job, Job.run_id == Run.id)
    row = session.execute(asked.where(is_held(job_id, attempt), Job.lease_owner == owner)).one_or_none()
    if row is None:
        return Renewal(still_mine=False, cancel_requested=False)
    requested, by, alone = row
    return Renewal(still_mine=True, cancel_requested=requested is not None or bool(alone), cancel_by=by or alone)


def is_held(job_id: int, attempt: int) -> ColumnElement[bool]:
    """The condition that this attempt works on the job."""
    return (Job.id == job_id) & (Job.attempt == attempt) & (Job.state == State.RUNNING)


QUEUED_AGAIN = {"state": State.QUEUED, "lease_owner": "", "lease_until_ms": None, "rung_ms": None}
# A forge that is away from now on has its whole time again.
_NOT_DELAYED = {"delays": 0, "delayed_since_ms": None, "delay_reason": ""}


def release(session: Session, job_id: int, attempt: int) -> None:
    """Gives the job back because the worker must stop: it is queued again at once. Raises StaleAttemptError."""
    run, job = lock_job(session, job_id, attempt)
    if stopped := cancellation_outcome(run, job):
        end_job(session, job, stopped)
        settle(session, run)
        return
    again = QUEUED_AGAIN | _NOT_DELAYED | {"lane": lane_of(job.labels)}
    session.execute(update(table(Job)).where(is_held(job_id, attempt)).values(again))
    start_steps_over(session, job_id, job.origin)
    turns_after(session, run)


def held(session: Session) -> list[HeldLease]:
    """The leases of all running jobs."""
    of_job = (Job.id, Job.run_id, Job.attempt, Job.lease_until_ms, Job.lease_s)
    rows = session.execute(select(*of_job).where(Job.state == State.RUNNING).order_by(Job.id))
    return [HeldLease(job, run, attempt, until_ms or 0, lease_s or 0) for job, run, attempt, until_ms, lease_s in rows]


def any_job_to_do(session: Session) -> bool:
    """True while a job runs, may be claimed or is delayed. Those that wait for approval or for others do not count."""
    running, ready = Job.state == State.RUNNING, (Job.state == State.QUEUED) & Job.ready
    wanted = (select(Job.id).where(each).limit(1).exists() for each in (running, ready, Job.not_before_ms.is_not(None)))
    return bool(session.scalar(select(or_(*wanted))))


def reap(session: Session, expired: Iterable[HeldLease], attempts_max: int = 2) -> list[Reaped]:
    """Queues the jobs again whose leases are ``expired``. A job that loses ``attempts_max`` workers ends as broken.

    A lease that was renewed since it was read stays. To avoid deadlocks, reap one run per transaction.
    """
    reaped = (_reap(session, lease, attempts_max) for lease in expired)
    return [each for each in reaped if each is not None]


def _reap(session: Session, lease: HeldLease, attempts_max: int) -> Reaped | None:
    run = lock_run(session, lease.run_id)
    jobs = table(Job)
    # Check the conditions again: the worker may have renewed its lease while we waited for the lock.
    unchanged = is_held(lease.job_id, lease.attempt) & (jobs.c.lease_until_ms == lease.until_ms)
    lose = (
        update(jobs)
        .where(unchanged)
        .values(QUEUED_AGAIN | _NOT_DELAYED | {"lost": jobs.c.lost + 1})
        .returning(jobs.c.lost)
    )
    lost = session.execute(lose).scalar()
    if lost is None:
        return None
    job = session.get_one(Job, lease.job_id, populate_existing=True)
    if stopped := cancellation_outcome(run, job):
        end_job(session, job, stopped)
    elif lost >= attempts_max:
        end_job(session, job, _worker_lost(lost))
    else:
        start_steps_over(session, lease.job_id, job.origin)
        job.lane = lane_of(job.labels)
    settle(session, run)
    return Reaped(lease.job_id, lease.run_id, job.state)


def _worker_lost(lost: int) -> Outcome:
    sentence = (
        f"The worker vanished while it ran this job, {_times(lost)}; no further worker gets it. Look at the worker's "
        "own log and at the memory of its machine, then run this again."
    )
    return Outcome(State.BROKEN, Reason.WORKER_LOST, sentence)


def _times(lost: int) -> str:
    return "once" if lost == 1 else f"{lost} times"


def ready_not_notified(session: Session, older_than_s: float, limit: int = 100) -> Sequence[int]:
    """Jobs that may be claimed and had no wake-up in the last ``older_than_s`` seconds, those longest without first."""
    found: list[int] = []
    for query in _not_notified():
        asked = {"older_ms": int(older_than_s * 1000), "most": limit - len(found)}
        found += session.scalars(query, asked)
    return found


@cache
def _not_notified() -> list[Select[int]]:
    long_ago = Job.rung_ms < now_ms() - bindparam("older_ms", type_=BigInteger())
    in_future = Job.rung_ms > now_ms() + CLOCK_STEP_MS  # from before the clock was set back
    jobs = select(Job.id).where(Job.lane.is_not(None), has_turn()).order_by(Job.rung_ms, Job.id)
    return [jobs.where(due).limit(bindparam("most")) for due in (Job.rung_ms.is_(None), in_future, long_ago)]


def mark_notified(session: Session, job_ids: Sequence[int]) -> None:
    """Notes that a wake-up for each of these jobs was sent just now."""
    session.execute(update(table(Job)).where(Job.id.in_(job_ids)).values(rung_ms=now_ms()))


def let_scheduler_notify(session: Session, job_id: int) -> None:
    """Makes the scheduler send a wake-up for the job in its next round, for callers without a connection to Redis."""
    session.execute(update(table(Job)).where(Job.id == job_id).values(rung_ms=None))
