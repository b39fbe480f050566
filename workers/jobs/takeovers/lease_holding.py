"""Keeps the leases of processes that have died, or were stopped, until another one can go on with their jobs.

Imports little: a worker that starts calls it before it loads anything else.
"""

from collections.abc import Callable

import structlog
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from workers.db.session import make_engine, transaction
from workers.jobs.running_jobs import HeldJob, RunningJobs
from workers.settings import Settings
from workers.store.jobs import leases
from workers.store.processes.workers import OWNER_MARK

HAND_OVER_S = 120
"""For so long the job of a worker that was stopped waits for the next one on the same machine."""
START_S = 15
"""So long a process may take to start that goes on with a job."""

_log = structlog.get_logger()


def hold_lease(connect: Callable[[], Database], held: HeldJob, lease_s: int) -> None:
    """Makes the lease of a dead process last until another one can have started: that may take seconds."""
    database = connect()
    try:
        with transaction(database) as session:
            leases.renew(session, held.job_id, held.attempt, held.owner, max(lease_s, START_S))
    except SQLAlchemyError as error:
        _log.warning("a job may start over in place of going on", job=held.job_id, error=str(error))
    finally:
        # A process that is forked later must not inherit the connection's file descriptors.
        database.dispose()


def hold_leases(settings: Settings) -> None:
    """Called first: a worker starts for seconds, and jobs that a dead one has left must not start over meanwhile."""
    running = RunningJobs(settings.running_dir)
    for held in filter(None, map(running.read, running.abandoned())):
        hold_lease(lambda: make_engine(settings.database), held, settings.lease_s)


def keep_for_successor(database: Database, running: RunningJobs, worker: str) -> None:
    """Makes the leases of jobs that this worker has handed over last until a next worker has started."""
    for held in running.handed_over():
        if not held.owner.startswith(f"{worker}{OWNER_MARK}"):
            continue
        try:
            with transaction(database) as session:
                leases.renew(session, held.job_id, held.attempt, held.owner, HAND_OVER_S)
        except SQLAlchemyError as error:
            _log.warning("a job waits for its lease only", job=held.job_id, error=str(error))
