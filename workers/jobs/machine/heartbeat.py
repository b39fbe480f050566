"""The heartbeat of a worker process: with it the server knows which workers are alive, and why a job waits."""

import threading
from collections.abc import Callable, Mapping

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workers import store
from workers.db.full_disk import means_full_disk
from workers.db.session import transaction

_log = structlog.get_logger()
BEATS_PER_LEASE = 3
_FULL_DISK_RETRY_S = 0.2


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
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)

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
                self.beat()
            except SQLAlchemyError as error:
                _log.warning("the heartbeat of this worker could not be stored", error=str(error))
                if means_full_disk(error):
                    pause_s = _FULL_DISK_RETRY_S
            self._stop.wait(pause_s)
