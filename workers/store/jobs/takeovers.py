"""Takeovers: a worker goes on with the running job of another worker process on its machine, which has died.

That a process has died is proved by the lock that the kernel has released (``workers.jobs.running_jobs``), never by a
row. Like a claim, a takeover raises ``attempt``, so that late writes of the dead process are refused; it keeps
``Claim.origin``, by which the job's containers, folder and logs are found.
"""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pipelines.plan import JobPlan
from workers.db.models import Job
from workers.db.session import now_ms
from workers.store.common import table
from workers.store.jobs import leases
from workers.store.jobs.completion import lock_run


@dataclass(frozen=True)
class Abandoned:
    """A job as its last worker process had it: the attempt, and that process's name in the lease."""

    job_id: int
    attempt: int
    owner: str


def take_over(session: Session, job: Abandoned, owner: str, lease_s: int, host: str = "") -> leases.Claim | None:
    """The job goes to ``owner`` as it is, also where a cancellation was requested.

    None where the dead process did not have it any more: the job has ended, or its lease has expired.
    """
    run_id = session.scalar(select(Job.run_id).where(Job.id == job.job_id))
    if run_id is None:
        return None
    lock_run(session, run_id)
    jobs = table(Job)
    take = (
        update(jobs)
        .where(leases.is_held(job.job_id, job.attempt), jobs.c.lease_owner == job.owner)
        .values(
            attempt=jobs.c.attempt + 1,
            takeovers=jobs.c.takeovers + 1,
            lease_owner=owner,
            lease_until_ms=now_ms() + lease_s * 1000,
            lease_s=lease_s,
            host=host,
        )
        .returning(jobs.c.attempt, jobs.c.takeovers, jobs.c.plan, jobs.c.key)
    )
    row = session.execute(take).one_or_none()
    if row is None:
        return None
    attempt, takeovers, plan, key = row
    found = None if plan is None else JobPlan.model_validate_json(plan)
    return leases.Claim(job.job_id, run_id, attempt, found, key, takeovers)


def lose(session: Session, claim: leases.Claim, attempts_max: int) -> leases.Reaped | None:
    """Gives up a job that cannot go on: as if its lease had expired. None where it is not this attempt's any more."""
    mine = [each for each in leases.held(session) if (each.job_id, each.attempt) == (claim.job_id, claim.attempt)]
    return next(iter(leases.reap(session, mine, attempts_max)), None)
