"""The parent process of a worker sees that a process on this machine has died, and gives its job to one of its own.

It looks whenever its event loop turns: the end of one of its own child processes turns it at once, and else it turns
about once a second, which finds jobs of other workers with the same data directory. So does its start.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog
from celery import bootsteps, current_app
from celery.worker import state

from workers.db.session import make_engine
from workers.jobs.running_jobs import HeldJob, RunningJobs
from workers.jobs.takeovers.lease_holding import hold_lease
from workers.settings import Settings

TAKE_OVER = "headway.take_over"
HAND_OVER_SIGNAL = signal.SIGUSR2
HAND_OVER_WITHIN_S = 5.0
_POLL_S = 0.02
_AGAIN_S = 20.0

_log = structlog.get_logger()


class TakeoverWatch:
    """``start`` is called with the name of each file of a dead process; again after a pause while it stays free.

    ``hold`` is called with what the file says before it is called for the first time.
    """

    def __init__(
        self,
        running: RunningJobs,
        start: Callable[[str], object],
        hold: Callable[[HeldJob], object],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._running = running
        self._hold = hold
        self._start = start
        self._monotonic_s = monotonic_s
        self._started_s: dict[str, float] = {}

    def __call__(self) -> None:
        """One look. Raises nothing: it runs in the event loop of Celery's parent process."""
        found = self._running.abandoned()
        now_s = self._monotonic_s()
        self._started_s = {name: since_s for name, since_s in self._started_s.items() if name in found}
        for name in found:
            if name not in self._started_s and (held := self._running.read(name)):
                self._hold(held)
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
    """Ends the processes of the pool, children of this one. The next worker on this machine goes on with their jobs.

    Returns when they have ended: a signal that came meanwhile would make them end their steps.
    """
    left, deadline_s = set(processes), time.monotonic() + HAND_OVER_WITHIN_S
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, HAND_OVER_SIGNAL)
    while (left := {pid for pid in left if not _has_ended(pid)}) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)


def _has_ended(child: int) -> bool:
    """Leaves the process for Celery to be waited for."""
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def hand_over_on_signal(running: RunningJobs) -> None:
    """Makes this process of the pool end at once on the signal. Nothing of it is cleaned up: its job goes on."""

    def end(*_: object) -> None:
        try:
            running.mark_handed_over()
        finally:  # whatever other signal comes meanwhile
            os._exit(0)

    signal.signal(HAND_OVER_SIGNAL, end)


def takeovers_step(settings: Settings) -> type[bootsteps.StartStopStep]:
    """Looks for jobs of dead processes in the event loop of the worker's parent process."""

    def hold(held: HeldJob) -> None:
        hold_lease(lambda: make_engine(settings.database), held, settings.lease_s)

    class LookForTakeovers(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, worker: Any) -> None:  # noqa: ANN401 - Celery's own object, which has no type
            def begin(running_job: str) -> None:
                worker.pool.apply_async(call_task, (TAKE_OVER, running_job))

            watch = TakeoverWatch(RunningJobs(settings.running_dir), begin, hold)

            def look() -> None:
                # A worker that stops leaves its own jobs to the next one.
                if state.should_stop is None:
                    watch()

            worker.hub.on_tick.add(look)

    return LookForTakeovers
