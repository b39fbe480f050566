"""Rate limit of failed logins."""

import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from web.security.client_address import client_group


class LoginLimiter:
    """Counts failed logins, in memory: a restart resets the counts.

    For a name from one address few are allowed. For all names from one address more: behind one address there may be
    many people, and one who guesses must not lock out the others.
    """

    def __init__(
        self,
        *,
        failures_max: int = 10,
        source_failures_max: int = 300,
        window_s: float = 300,
        sources_max: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures_max = failures_max
        self._source_failures_max = source_failures_max
        self._window_s = window_s
        self._sources_max = sources_max
        self._clock = clock
        self._failed: dict[str, deque[float]] = {}
        self._by_source: dict[str, deque[float]] = {}
        self._lock = Lock()

    def blocked(self, source: str, name: str = "") -> bool:
        """True after ``failures_max`` failed logins as ``name``, or ``source_failures_max`` as anyone."""
        source = client_group(source)
        with self._lock:
            return (
                len(self._recent(self._failed, _key(source, name))) >= self._failures_max
                or len(self._recent(self._by_source, source)) >= self._source_failures_max
            )

    def failed(self, source: str, name: str = "") -> None:
        """Counts a failed login."""
        source = client_group(source)
        with self._lock:
            self._count(self._failed, _key(source, name))
            self._count(self._by_source, source)

    def succeeded(self, source: str, name: str = "") -> None:
        """Forgets the failed logins of ``source`` as ``name``."""
        with self._lock:
            self._failed.pop(_key(client_group(source), name), None)

    def _count(self, failed: dict[str, deque[float]], key: str) -> None:
        recent = self._recent(failed, key)
        recent.append(self._clock())
        if len(failed) >= self._sources_max and key not in failed:
            failed.pop(next(iter(failed)))  # the one that was seen first
        failed[key] = recent

    def _recent(self, failed: dict[str, deque[float]], key: str) -> deque[float]:
        oldest = self._clock() - self._window_s
        most = max(self._failures_max, self._source_failures_max)
        return deque((at for at in failed.get(key, ()) if at > oldest), maxlen=most)


def _key(source: str, name: str) -> str:
    return f"{source} {name}"
