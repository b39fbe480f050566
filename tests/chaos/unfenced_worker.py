"""A worker without the fence, to see that the judge notices: it goes on with a job that it has lost, and writes.

Run as a program, in place of ``headway worker``.
"""

from sqlalchemy.orm import Session

from workers.cli import processes
from workers.jobs.lease_renewal import LeaseRenewer
from workers.startup import read_settings
from workers.store import common
from workers.store.jobs import leases
from workers.store.jobs.leases import Renewal


def any_attempt(session: Session, job_id: int, attempt: int) -> int:
    """In place of ``lock_attempt``."""
    return attempt


def always_held(session: Session, job_id: int, attempt: int, owner: str) -> Renewal:
    """In place of ``renewal``."""
    return Renewal(still_mine=True, cancel_requested=False)


def never_lost(self: LeaseRenewer) -> None:
    """In place of the watch of the lease."""
    self._stop.wait()


def main() -> None:
    """Breaks the fence, and runs the worker."""
    # Other modules have imported these functions by name.
    common.lock_attempt.__code__ = any_attempt.__code__
    leases.renewal.__code__ = always_held.__code__
    LeaseRenewer._watch_until_stopped.__code__ = never_lost.__code__
    processes.worker(read_settings())


if __name__ == "__main__":
    main()
