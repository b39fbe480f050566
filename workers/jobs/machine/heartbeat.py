"""The heartbeat of a worker process: with it the server knows which workers are alive, and why a job waits."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.sharedctypes import RawValue

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workers import store
from workers.db.full_disk import means_full_disk
from workers.db.session import transaction

_log = structlog.get_logger()
BEATS_PER_LEASE = 3
_FULL_DISK_RETRY_S = 0.2
_LATE = 1.5
"""A process that has sent none for so many pauses has lost its turn: it has ended, or hangs."""


class BeatTurn:
    """Which process of a worker sends the heartbeat: one is enough, and the others need no connection for it.

    Make it before the fork of the pool.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._owner, self._sent_s = RawValue("q", 0), RawValue("d", 0.0)

    def is_mine(self, pause_s: float) -> bool:
        """Whether this process must send the next one. Where two take the turn at once, one of them keeps it."""
        me = os.getpid()
        if self._owner.value == me:
            return True
        if self._owner.value and self._monotonic_s() - self._sent_s.value < pause_s * _LATE:
            return False
        self._owner.value, self._sent_s.value = me, self._monotonic_s()
        return True

    def sent(self) -> None:
        """This process has sent a heartbeat."""
        self._sent_s.value = self._monotonic_s()


class Heartbeat:
    """Sends the heartbeat from a thread. A worker counts as gone when it sends none for the time of a lease.

    ``problem`` returns a sentence while the worker takes no job, else an empty text.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        labels: Mapping[str, str],
        slots: int,
        lease_s: int,
        problem: Callable[[], str] = str,
    ) -> None:
        self._engine = engine
        self._name = name
        self._labels = labels
        self._slots = slots
        self._lease_s = lease_s
        self._problem = problem
        self._turn = BeatTurn()
        self._at_rest: Callable[[], object] = str
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)

    def share(self, turn: BeatTurn, at_rest: Callable[[], object]) -> None:
        """Call it before ``start`` where several processes have this heartbeat: one at a time sends it.

        ``at_rest`` is called as often in the others.
        """
        self._turn, self._at_rest = turn, at_rest

    def start(self) -> None:
        """Starts the thread. It runs until ``stop`` is called or the process ends."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread. The worker counts as alive until its last heartbeat expires."""
        self._stop.set()
        self._thread.join()

    def beat(self) -> None:
        """Sends one heartbeat. Raises SQLAlchemyError."""
        problem = self._problem()
        with transaction(self._engine) as session:
            store.record_heartbeat(session, self._name, self._labels, self._slots, self._lease_s, problem)

    def _beat_until_stopped(self) -> None:
        while not self._stop.is_set():
            pause_s = self._lease_s / BEATS_PER_LEASE
            try:
                if self._turn.is_mine(pause_s):
                    self.beat()
                    self._turn.sent()
                else:
                    self._at_rest()
            except SQLAlchemyError as error:
                _log.warning("the heartbeat of this worker could not be stored", error=str(error))
                if means_full_disk(error):
                    pause_s = _FULL_DISK_RETRY_S
            self._stop.wait(pause_s)
