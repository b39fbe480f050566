"""Drained workers: they take no new job, and end when their jobs have ended.

The row says who is drained, and each claim reads it. Here the parent process of a worker follows its row, to give
wake-ups back to other workers, and to end.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.sharedctypes import RawValue
from typing import Any

import structlog
from celery import bootsteps
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from runner.threads import in_background
from workers import store
from workers.db.session import reading, transaction

LOOK_S = 5.0
QUIET_LOOKS = 2
"""A claim that began before the worker was drained may be seen one look later."""

_log = structlog.get_logger()


class LastClaim:
    """When a process of the worker claimed a job last, by the monotonic clock. Make it before the fork of the pool."""

    def __init__(self) -> None:
        self._at_s = RawValue("d", time.monotonic())

    def note(self) -> None:
        """A job was claimed now."""
        self._at_s.value = time.monotonic()

    def at_s(self) -> float:
        """When that was; when this object was made, where no job has come yet."""
        return float(self._at_s.value)


@dataclass(frozen=True)
class _Seen:
    drained: bool
    busy: int


@dataclass
class DrainWatch:
    """Call ``look`` every ``LOOK_S`` seconds, in the event loop of the worker's parent process.

    ``listen`` is called with whether to receive wake-ups; ``end`` ends the worker. ``ends``: it ends when it is drained
    and has no job. With ``idle_s`` it drains itself when it has had no job for so long; ``last_claim_s`` returns when
    the last one came, by the monotonic clock.
    """

    open_database: Callable[[], Engine]
    name: str
    listen: Callable[[bool], object]
    end: Callable[[], object]
    ends: bool = True
    idle_s: float | None = None
    last_claim_s: Callable[[], float] = float
    monotonic_s: Callable[[], float] = time.monotonic
    _read: Future[_Seen] | None = None
    _listens: bool = True
    _quiet_looks: int = 0
    _busy_s: float | None = None
    _database: Callable[[], Engine] = field(init=False)

    def __post_init__(self) -> None:
        # Opened at the first look: after the fork of the pool.
        self._database = cache(self.open_database)

    def look(self) -> None:
        """Never waits for the database: what a thread has read counts at the next look."""
        if self._read is None:
            self._read = in_background(self._see)
        elif self._read.done():
            read, self._read = self._read, None
            try:
                self._act(read.result())
            except SQLAlchemyError as error:
                _log.warning("it is not known whether this worker is drained", error=str(error))

    def _see(self) -> _Seen:
        with reading(self._database()) as session:
            seen = _Seen(store.is_drained(session, self.name), store.jobs_of_worker(session, self.name))
        if not seen.drained and self._idle_for_long(seen.busy):
            with transaction(self._database()) as session:
                store.set_drained(session, self.name, drained=True)
            _log.info("this worker had no job for long enough, and takes no more", idle_s=self.idle_s)
        return seen

    def _idle_for_long(self, busy: int) -> bool:
        now_s = self.monotonic_s()
        if busy or self._busy_s is None:
            self._busy_s = now_s
        return self.idle_s is not None and now_s - max(self._busy_s, self.last_claim_s()) >= self.idle_s

    def _act(self, seen: _Seen) -> None:
        if self._listens == seen.drained:
            self.listen(not seen.drained)
            self._listens = not seen.drained
            _log.info("this worker is drained" if seen.drained else "this worker takes jobs again", jobs=seen.busy)
        self._quiet_looks = self._quiet_looks + 1 if seen.drained and not seen.busy else 0
        if self.ends and self._quiet_looks == QUIET_LOOKS:
            _log.info("this worker is drained and has no job: it ends")
            self.end()


def following_drains(watch: Callable[..., DrainWatch], queues: Sequence[str]) -> type[bootsteps.StartStopStep]:
    """Looks from time to time, in the event loop of the worker's parent process, whether the worker is drained."""

    class FollowDrains(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Timer",)

        def start(self, worker: Any) -> None:  # noqa: ANN401 - Celery's own object, which has no type
            def listen(wanted: bool) -> None:  # noqa: FBT001 - the one thing that it says
                change = worker.consumer.add_task_queue if wanted else worker.consumer.cancel_task_queue
                for queue in queues:
                    change(queue)

            worker.timer.call_repeatedly(LOOK_S, watch(listen=listen, end=_end_this_process).look)

    return FollowDrains


def _end_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
