"""Back-off: what failed is tried again after a pause, which doubles with each failure."""

import time
from collections.abc import Callable, Hashable

FIRST_PAUSE_S = 1.0
PAUSE_S_MAX = 300.0


class BackOff:
    """The pauses of several things, by key. For one thread."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._waits: dict[Hashable, tuple[float, float, str]] = {}

    def is_due(self, key: Hashable) -> bool:
        """False while ``key`` pauses after a failure."""
        until_s, _, _ = self._waits.get(key, (0.0, 0.0, ""))
        return key not in self._waits or self._monotonic_s() >= until_s

    def failed(self, key: Hashable, problem: str) -> float:
        """Notes a failure. Returns the pause before the next try, in seconds."""
        _, before_s, _ = self._waits.get(key, (0.0, 0.0, ""))
        pause_s = min(max(FIRST_PAUSE_S, before_s * 2), PAUSE_S_MAX)
        self._waits[key] = (self._monotonic_s() + pause_s, pause_s, problem)
        return pause_s

    def succeeded(self, key: Hashable) -> None:
        """Forgets the failures of ``key``."""
        self._waits.pop(key, None)

    def problem(self) -> str:
        """What fails, in a sentence or two; empty where nothing does."""
        problems = [problem for _, _, problem in self._waits.values()]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return f"{problems[0]}{more}" if problems else ""
