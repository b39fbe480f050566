"""The parent process of a worker sees that a process on this machine has died, and gives its job to one of its own.

It looks whenever its event loop turns: the end of one of its own child processes turns it at once, and else it turns
about once a second, which finds jobs of other workers with the same data directory. So does its start.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog
from celery import current_app
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from workers.db.session import transaction
from workers.jobs.running_jobs import RunningJobs
from workers.store.jobs import leases
from workers.store.processes.workers import OWNER_MARK

TAKE_OVER = "headway.take_over"
HAND_OVER_SIGNAL = signal.SIGUSR2
HAND_OVER_S = 120
"""For so long the job of a worker that was stopped waits for the next one on the same machine."""
_AGAIN_S = 5.0

_log = structlog.get_logger()


class TakeoverWatch:
    """``start`` is called with the name of each file of a dead process; again after a pause while it stays free."""

    def __init__(
        self, running: RunningJobs, start: Callable[[str], object], monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._running = running
        self._start = start
        self._monotonic_s = monotonic_s
        self._started_s: dict[str, float] = {}

    def __call__(self) -> None:
        """One look. Raises nothing: it runs in the event loop of Celery's parent process."""
        found = self._running.abandoned()
        now_s = self._monotonic_s()
        self._started_s = {name: since_s for name, since_s in self._started_s.items() if name in found}
        for name in found:
            if now_s - self._started_s.get(name, -_AGAIN_S) >= _AGAIN_S:
                self._started_s[name] = now_s
                self._start(name)


def call_task(task: str, argument: str) -> None:
    """Runs a task in a process of the pool without a message: it must not depend on Redis."""
    try:
        current_app.tasks[task](argument)
    except Exception as error:
        _log.exception("a job could not be taken over", name=argument, error=str(error))
        raise


def hand_over_jobs(processes: Iterable[int]) -> None:
    """Ends the processes of the pool at once. Their steps go on: the next worker on this machine takes them over."""
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, HAND_OVER_SIGNAL)


def hand_over_on_signal(running: RunningJobs) -> None:
    """Makes this process of the pool end at once on the signal. Nothing of it is cleaned up: its job goes on."""

    def end(*_: object) -> None:
        running.mark_handed_over()
        os._exit(0)

    signal.signal(HAND_OVER_SIGNAL, end)


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
