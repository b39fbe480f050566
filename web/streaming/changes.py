"""The stream of a run's page and of the front page: an event whenever the page would read differently."""

import json
import time
from collections.abc import AsyncIterator, Callable

from anyio import to_thread
from redis.asyncio import Redis

from web.operations.errors import NotFoundError
from web.services import Services
from web.streaming.redis_reader import RedisReader
from web.streaming.snapshots import Snapshot

HEARTBEAT_S = 15.0
HEARTBEAT = b": \n\n"
POLL_S = 2.0  # how often a stream reads the rows when Redis reports no change
_DEBOUNCE_S = 0.2
_BLOCK_MS = 1000


class PollTimer:
    """Says when to read the rows again, and when to send a heartbeat.

    Changes come in bursts: reads of the rows are debounced.
    """

    def __init__(self) -> None:
        self._last_sent = time.monotonic()
        self._last_poll = float("-inf")
        self.requested = True

    @property
    def block_ms(self) -> int:
        """How long to wait for Redis: only shortly while a requested poll is due soon."""
        return int(_DEBOUNCE_S * 1000) if self.requested else _BLOCK_MS

    def poll_due(self) -> bool:
        """True when the rows are to be read now; the caller then reads them."""
        waited = time.monotonic() - self._last_poll
        due = waited > POLL_S or (self.requested and waited > _DEBOUNCE_S)
        if due:
            self.requested, self._last_poll = False, time.monotonic()
        return due

    def sent(self) -> None:
        """Something was sent: the next heartbeat is due ``HEARTBEAT_S`` from now."""
        self._last_sent = time.monotonic()

    def heartbeat_due(self) -> bool:
        """True once for every ``HEARTBEAT_S`` in which nothing was sent."""
        due = time.monotonic() - self._last_sent > HEARTBEAT_S
        if due:
            self.sent()
        return due


def event(kind: str, data: str, position: int | None = None) -> bytes:
    """One server-sent event."""
    head = "" if position is None else f"id: {position}\n"
    return f"{head}event: {kind}\ndata: {data}\n\n".encode()


async def change_events(
    services: Services, redis: Redis, key: str, take_snapshot: Callable[[], Snapshot], seen: str
) -> AsyncIterator[bytes]:
    """``changed`` for each version after ``seen``, and ``end`` with the final state. Ends when the row is removed."""
    reader, timer, now = RedisReader(redis, {}), PollTimer(), None
    await reader.start_at_end(key)
    while not services.stopping.is_set():
        if now is None or timer.poll_due():
            try:
                now = await to_thread.run_sync(take_snapshot)
            except NotFoundError:
                return
        if now.version != seen:
            seen = now.version
            yield event("changed", seen)
            timer.sent()
        if now.final:
            yield event("end", json.dumps({"state": now.state}))
            return
        timer.requested |= reader.skip(key, (await reader.read(timer.block_ms)).get(key, []))
        if timer.heartbeat_due():
            yield HEARTBEAT
