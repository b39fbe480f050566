"""Says again and again that a worker is there, so that pages can say what a job waits for."""

import threading
from collections.abc import Mapping

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workers import store
from workers.db.session import transaction

_log = structlog.get_logger()
BEATS_PER_LEASE = 3


class Presence:
    """A thread of a worker's process. The worker counts as gone when it says nothing for as long as a lease."""

    def __init__(self, engine: Engine, name: str, labels: Mapping[str, str], slots: int, lease_s: int) -> None:
        self._engine = engine
        self._name = name
        self._labels = labels
        self._slots = slots
        self._lease_s = lease_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="presence", daemon=True)

    def start(self) -> None:
        """Begins, for as long as the process lives or until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; the worker counts as there for the rest of its time."""
        self._stop.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._stop.is_set():
            try:
                with transaction(self._engine) as session:
                    store.beat(session, self._name, self._labels, self._slots, self._lease_s)
            except SQLAlchemyError as error:
                _log.warning("the database does not know that this worker is there", error=str(error))
            self._stop.wait(self._lease_s / BEATS_PER_LEASE)
