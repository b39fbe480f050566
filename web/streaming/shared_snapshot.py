"""What the rows say about a page, read once for all streams that show this page."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

from web.operations.errors import NotFoundError
from web.streaming.snapshots import Snapshot

DEBOUNCE_S = 0.2

S = TypeVar("S", bound=Snapshot)


class SharedSnapshot(Generic[S]):
    """Reads the rows when something changed, debounced, and at the latest after ``poll_s()``: a notice may be lost.

    Requests that arrive while the rows are read get the result of the next read.
    """

    def __init__(self, take: Callable[[], S], threads: CapacityLimiter, poll_s: Callable[[], float]) -> None:
        self._take = take
        self._threads = threads
        self._poll_s = poll_s
        self._requested = asyncio.Event()
        self._reads = 0
        self.wake: list[Callable[[], None]] = []
        """Called after each read."""
        self.now: S | None = None
        """None before the first read, and after the row was removed."""
        self.finished_reads = 0
        self.failure: Exception | None = None
        """Set at the end: no read follows."""

    def request(self) -> int:
        """Asks for a read that begins after this call; its number, to compare with ``finished_reads``."""
        self._requested.set()
        return self._reads + 1

    async def run(self) -> None:
        """Reads until it is canceled, or a read fails."""
        while self.failure is None:
            self._requested.clear()
            self._reads += 1
            started_s = time.monotonic()
            try:
                self.now = await to_thread.run_sync(self._take, limiter=self._threads)
            except NotFoundError as gone:
                self.now, self.failure = None, gone
            except Exception as error:  # noqa: BLE001 - raised again in each stream that waits for it
                self.failure = error
            self.finished_reads = self._reads
            for wake in self.wake:
                wake()
            await self._wait(started_s)

    async def _wait(self, started_s: float) -> None:
        try:
            await asyncio.wait_for(self._requested.wait(), self._poll_s())
        except TimeoutError:
            return
        await asyncio.sleep(max(0.0, started_s + DEBOUNCE_S - time.monotonic()))
