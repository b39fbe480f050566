"""Rate limit of failed logins."""

import time
from collections import deque
from collections.abc import Callable
from threading import Lock


class LoginLimiter:
    """Counts failed logins for each source address, in memory: a restart resets the counts."""

    def __init__(
        self,
        *,
        failures_max: int = 10,
        window_s: float = 300,
        sources_max: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures_max = failures_max
        self._window_s = window_s
        self._sources_max = sources_max
        self._clock = clock
        self._failed: dict[str, deque[float]] = {}
        self._lock = Lock()

    def blocked(self, source: str) -> bool:
        """True after ``failures_max`` failed logins from ``source`` within ``window_s``."""
        with self._lock:
            return len(self._recent(source)) >= self._failures_max

    def failed(self, source: str) -> None:
        """Counts a failed login."""
        with self._lock:
            if len(self._failed) >= self._sources_max and source not in self._failed:
                self._failed.pop(next(iter(self._failed)))  # the source that was seen first
            recent = self._recent(source)
            recent.append(self._clock())
            self._failed[source] = recent

    def succeeded(self, source: str) -> None:
        """Forgets the failed logins of ``source``."""
        with self._lock:
            self._failed.pop(source, None)

    def _recent(self, source: str) -> deque[float]:
        oldest = self._clock() - self._window_s
        return deque((at for at in self._failed.get(source, ()) if at > oldest), maxlen=self._failures_max)
