"""Removing containers off the way of the run."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

IN_TIME_S = 2.0
"""How long a container that has ended may stay: while steps follow each other fast, the engine has these to start."""
_AT_ONCE_MAX = 2


class Removals:
    """The containers of one job on their way out; ``remove`` is how one goes."""

    def __init__(self, remove: Callable[[str], None]) -> None:
        self._remove = remove
        # Apart, so that one which still runs does not wait behind those that have time.
        self._now = ThreadPoolExecutor(_AT_ONCE_MAX, "remove")
        self._later = ThreadPoolExecutor(_AT_ONCE_MAX, "tidy")
        self._begun: list[Future[None]] = []
        self._closing = Event()

    def now(self, container: str) -> None:
        """Removes a container, which may still run."""
        self._begun.append(self._now.submit(self._remove, container))

    def in_time(self, container: str) -> None:
        """Removes a container that has ended, in a while or at the end of the job."""
        self._begun.append(self._later.submit(self._when_due, container, time.monotonic() + IN_TIME_S))

    def _when_due(self, container: str, due_s: float) -> None:
        self._closing.wait(max(0.0, due_s - time.monotonic()))
        self._remove(container)

    def abandon(self) -> None:
        """Leaves what is not gone yet to somebody else."""
        for pool in (self._now, self._later):
            pool.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> Sequence[Callable[[], None]]:
        """Removes all that is left, and returns when it is gone. Each answer raises what kept one from going."""
        self._closing.set()
        for pool in (self._now, self._later):
            pool.shutdown()
        return [begun.result for begun in self._begun]
