"""Which failed logins the audit log gets: an entry at once, then how many more there were. No flood fills it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from web.security.client_address import client_group

WINDOW_S = 300.0
PAIRS_MAX = 50
NAME_CHARS_MAX = 100
OTHERS = "other names or addresses"


@dataclass(frozen=True)
class Failures:
    """Failed logins to record: ``count`` of them for one name from one address."""

    name: str
    address: str
    count: int


class FailedLogins:
    """Counts failed logins in memory, in windows of five minutes. May be called from several threads.

    In a window each name and address has an entry at its first failure, and one at the end if there were more;
    those beyond ``PAIRS_MAX`` have one together.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._counts: dict[tuple[str, str], int] = {}
        self._others = 0
        self._lock = Lock()

    def failed(self, name: str, address: str) -> list[Failures]:
        """Counts a failed login. Returns what is to be recorded now."""
        key = (name[:NAME_CHARS_MAX], client_group(address))
        with self._lock:
            due = self._due()
            if key in self._counts:
                self._counts[key] += 1
            elif len(self._counts) < PAIRS_MAX:
                self._counts[key] = 0
                due.append(Failures(key[0], address, 1))
            else:
                self._others += 1
            return due

    def due(self) -> list[Failures]:
        """What is to be recorded of a window that has ended. Call it at each login."""
        with self._lock:
            return self._due()

    def _due(self) -> list[Failures]:
        if self._clock() - self._began_s < WINDOW_S:
            return []
        due = [Failures(name, address, count) for (name, address), count in self._counts.items() if count]
        if self._others:
            due.append(Failures(OTHERS, "?", self._others))
        self._counts, self._others, self._began_s = {}, 0, self._clock()
        return due
