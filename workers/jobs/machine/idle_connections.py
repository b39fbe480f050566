"""Closes the connections of a slot that has had no job for a while: PostgreSQL keeps a process for each of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

IDLE_S = 10.0
"""Jobs that follow each other more closely use the same connections."""


@dataclass
class IdleConnections:
    """``close`` closes the connections that no thread uses; the next use opens them again."""

    close: Callable[[], object]
    monotonic_s: Callable[[], float] = time.monotonic
    _busy: int = 0
    _used_s: float = -inf

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While the block runs, nothing is closed."""
        self._busy += 1
        try:
            yield
        finally:
            self._used_s = self.monotonic_s()
            self._busy -= 1

    def look(self) -> None:
        """Closes what is open, unless a job has come within ``IDLE_S``. Call it from time to time."""
        if not self._busy and self.monotonic_s() - self._used_s >= IDLE_S:
            self.close()
