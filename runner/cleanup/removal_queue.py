"""A queue that removes a job's containers in the background, so that the next step does not wait for it."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

DELAY_S = 2.0
"""How long a container that has ended may stay: while short steps follow each other, the engine starts their containers
instead of removing old ones."""
_AT_ONCE_MAX = 2


class RemovalQueue:
    """Removes the containers of one job; ``remove`` removes one of them."""

    def __init__(self, remove: Callable[[str], None]) -> None:
        self._remove = remove
        # Two pools, so that a container that still runs does not wait behind those that have ended.
        self._now = ThreadPoolExecutor(_AT_ONCE_MAX, "remove")
        self._later = ThreadPoolExecutor(_AT_ONCE_MAX, "remove-later")
        self._pending: list[Future[None]] = []
        self._closing = Event()

    def remove_now(self, container: str) -> None:
        """Removes a container, which may still run."""
        self._pending.append(self._now.submit(self._remove, container))

    def remove_later(self, container: str) -> None:
        """Removes a container that has ended, after ``DELAY_S`` or at the end of the job."""
        self._pending.append(self._later.submit(self._remove_at, container, time.monotonic() + DELAY_S))

    def _remove_at(self, container: str, due_s: float) -> None:
        self._closing.wait(max(0.0, due_s - time.monotonic()))
        self._remove(container)

    def abandon(self) -> None:
        """Stops removing: another process removes what is left."""
        for pool in (self._now, self._later):
            pool.shutdown(wait=False, cancel_futures=True)

    def drain(self) -> Sequence[Callable[[], None]]:
        """Removes everything in the queue and returns when it is done. Each result raises the error of one removal."""
        self._closing.set()
        for pool in (self._now, self._later):
            pool.shutdown()
        return [pending.result for pending in self._pending]
