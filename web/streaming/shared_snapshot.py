"""What the rows say about a page, read once for all streams that show this page."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

from web.operations.errors import NotFoundError
from web.streaming.snapshots import Snapshot

DEBOUNCE_S = 0.2
EVENTS_PER_S_MAX = 1_000
_AT_ONCE = 50

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
        """Called when something changed."""
        self._asking: list[Callable[[], None]] = []
        self.now: S | None = None
        """None before the first read, and after the row was removed."""
        self.finished_reads = 0
        self.failure: Exception | None = None
        """Set at the end: no read follows."""

    def request(self, wake: Callable[[], None] | None = None) -> int:
        """Asks for a read that begins after this call; its number, to compare with ``finished_reads``.

        ``wake`` is called after a read even if nothing changed.
        """
        if wake:
            self._asking.append(wake)
        self._requested.set()
        return self._reads + 1

    async def run(self) -> None:
        """Reads until it is canceled, or a read fails."""
        while self.failure is None:
            self._requested.clear()
            self._reads += 1
            # Those who ask from here on wait for the next read.
            asked, self._asking = self._asking, []
            before, started_s = self.now, time.monotonic()
            try:
                self.now = await to_thread.run_sync(self._take, limiter=self._threads)
            except NotFoundError as gone:
                self.now, self.failure = None, gone
            except Exception as error:  # noqa: BLE001 - raised again in each stream that waits for it
                self.failure = error
            self.finished_reads = self._reads
            await self._tell(self.wake if self.failure or self.now != before else asked)
            await self._wait(started_s)

    async def _tell(self, streams: Sequence[Callable[[], None]]) -> None:
        """Wakes streams in slices, so that other requests come between."""
        wakes = list(streams)
        for start in range(0, len(wakes), _AT_ONCE):
            for wake in wakes[start : start + _AT_ONCE]:
                wake()
            await asyncio.sleep(0)

    async def _wait(self, started_s: float) -> None:
        try:
            await asyncio.wait_for(self._requested.wait(), self._poll_s())
        except TimeoutError:
            return
        # Every change costs each stream an event: for many streams it is told less often.
        debounce_s = max(DEBOUNCE_S, len(self.wake) / EVENTS_PER_S_MAX)
        await asyncio.sleep(max(0.0, started_s + debounce_s - time.monotonic()))
