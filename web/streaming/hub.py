"""The open streams of this process share one hub: what many of them follow is read once.

Two connections to Redis, one that listens and one that reads; a few threads for rows and logs, apart from those of the
pages; and nothing that waits for a slow browser.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar, cast

from anyio import CapacityLimiter
from redis import RedisError
from redis.asyncio import Redis

from web.streaming.notices import Notices
from web.streaming.shared_snapshot import SharedSnapshot
from web.streaming.shared_tail import SharedTail
from web.streaming.snapshots import Snapshot

STREAMS_MAX = 4_000
"""Open streams of one process. One more is answered with status 503."""

STREAMS_OF_USER_MAX = 2_500
"""Of these. One connection may follow fifty things: without it a few connections would close live pages for all."""

TAILS_BYTES_MAX = 64 * 1024 * 1024
"""Output of all followed steps together that is kept in memory."""

_TAIL_BYTES_MAX, _TAIL_BYTES_MIN = 1024 * 1024, 64 * 1024
_POLL_S = 2.0
_POLL_DISCONNECTED_S = 0.5
POLLS_PER_S_MAX = 50
_ENTRIES_MAX = 16  # of one step in one answer of Redis: a MiB
_TAILS_PER_READ_MAX = 16
_SNAPSHOT_THREADS, _LOG_THREADS = 2, 4

S = TypeVar("S", bound=Snapshot)


class Stream:
    """One open stream: it waits until something that it follows has news."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._news = False
        self._waiting: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Ends the wait that goes on, or the next one."""
        self._news = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def wait(self, timeout_s: float) -> None:
        """Returns when there may be news, and after ``timeout_s``. (``asyncio.wait_for`` costs a task each time.)"""
        if not self._news:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(timeout_s, self.wake)
            try:
                await self._waiting
            finally:
                timer.cancel()
        self._news = False

    @contextmanager
    def snapshot(self, key: Hashable, channel: str, take: Callable[[], S]) -> Iterator[SharedSnapshot[S]]:
        """Follows what ``take`` reads. Streams that give the same ``key`` share its reads."""
        shared = self._hub.snapshot(key, channel, take)
        shared.wake.append(self.wake)
        try:
            yield shared
        finally:
            shared.wake.remove(self.wake)
            if not shared.wake:
                self._hub.drop_snapshot(key, shared)

    @contextmanager
    def tail(self, step_id: int, attempt: int) -> Iterator[SharedTail]:
        """Follows the newest output of a step."""
        shared = self._hub.tail(step_id, attempt)
        shared.wake.append(self.wake)
        try:
            yield shared
        finally:
            shared.wake.remove(self.wake)
            if not shared.wake:
                self._hub.drop_tail(shared)


class Hub:
    """See the module. ``stopping`` ends all streams."""

    def __init__(
        self,
        redis: Redis,
        stopping: Callable[[], bool],
        streams_max: int = STREAMS_MAX,
        of_user_max: int = STREAMS_OF_USER_MAX,
    ) -> None:
        self._streams_max, self._of_user_max = streams_max, of_user_max
        self._of_users: Counter[int | None] = Counter()
        self._redis = redis
        self._notices = Notices(redis)
        self._stopping = stopping
        self._streams: set[Stream] = set()
        self._snapshots: dict[Hashable, tuple[SharedSnapshot[Any], asyncio.Task[None], Callable[[], None]]] = {}
        self._tails: dict[str, tuple[SharedTail, Callable[[], None]]] = {}
        self._to_read: dict[str, None] = {}
        self._something_to_read = asyncio.Event()
        self._snapshot_threads = CapacityLimiter(_SNAPSHOT_THREADS)
        self.log_threads = CapacityLimiter(_LOG_THREADS)

    @property
    def stopping(self) -> bool:
        """True when the process shuts down."""
        return self._stopping()

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def has_room(self, streams: int, user_id: int | None = None) -> bool:
        """False where ``streams`` more would be more than ``streams_max``, or than ``of_user_max`` of this user."""
        of_user = self._of_users[user_id] if user_id is not None else 0
        return len(self._streams) + streams <= self._streams_max and of_user + streams <= self._of_user_max

    async def counted(
        self, user_id: int | None, streams: int, events: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        """The events of so many streams, which count for this user until they end."""
        self._of_users[user_id] += streams
        try:
            async with aclosing(events):
                async for each in events:
                    yield each
        finally:
            self._of_users[user_id] -= streams
            if not self._of_users[user_id]:
                del self._of_users[user_id]

    @property
    def poll_s(self) -> float:
        """How often each stream looks for news that no notice told. Seldom where many do: together 50 in a second."""
        least_s = _POLL_S if self._notices.connected else _POLL_DISCONNECTED_S
        return max(least_s, max(len(self._snapshots), len(self._tails)) / POLLS_PER_S_MAX)

    @contextmanager
    def stream(self) -> Iterator[Stream]:
        """One open stream, until the end of the block."""
        stream = Stream(self)
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    async def run(self) -> None:
        """Works until ``stopping``; then wakes all streams, so that they end."""
        reader = asyncio.create_task(self._read_tails())
        try:
            await self._notices.run(self._stopping)
        finally:
            reader.cancel()
            for stream in self._streams:
                stream.wake()

    def snapshot(self, key: Hashable, channel: str, take: Callable[[], S]) -> SharedSnapshot[S]:
        """The snapshot of this key, begun if no stream follows it yet. To be ended with ``drop_snapshot``."""
        held = self._snapshots.get(key)
        if held is not None and held[0].failure is None:
            return cast("SharedSnapshot[S]", held[0])
        if held is not None:
            self._forget(key)
        shared = SharedSnapshot(take, self._snapshot_threads, lambda: self.poll_s)

        def listener() -> None:
            shared.request()

        self._notices.add(channel, listener)
        self._snapshots[key] = (
            shared,
            asyncio.create_task(shared.run()),
            lambda: self._notices.remove(channel, listener),
        )
        return shared

    def drop_snapshot(self, key: Hashable, shared: SharedSnapshot[Any]) -> None:
        """Ends the reads. Another stream may have begun them anew after a failure: those go on."""
        if key in self._snapshots and self._snapshots[key][0] is shared:
            self._forget(key)

    def _forget(self, key: Hashable) -> None:
        _, task, unsubscribe = self._snapshots.pop(key)
        task.cancel()
        unsubscribe()

    def tail(self, step_id: int, attempt: int) -> SharedTail:
        """The tail of this step, read from Redis from now on. To be ended with ``drop_tail``."""
        tail = SharedTail(step_id, attempt)
        if tail.key in self._tails:
            return self._tails[tail.key][0]

        def listener() -> None:
            self._to_read[tail.key] = None
            self._something_to_read.set()

        self._tails[tail.key] = (tail, listener)
        self._notices.add(tail.key, listener)
        return tail

    def drop_tail(self, tail: SharedTail) -> None:
        """Ends reading it."""
        _, listener = self._tails.pop(tail.key)
        self._to_read.pop(tail.key, None)
        self._notices.remove(tail.key, listener)

    async def _read_tails(self) -> None:
        while True:
            await self._something_to_read.wait()
            keys = list(self._to_read)[:_TAILS_PER_READ_MAX]
            for key in keys:
                del self._to_read[key]
            if not self._to_read:
                self._something_to_read.clear()
            tails = [self._tails[key][0] for key in keys]
            try:
                await self._read_first([tail for tail in tails if tail.last_id is None])
                await self._read_next({tail.key: tail.last_id for tail in tails if tail.last_id is not None})
            except (RedisError, OSError):
                # Streams read the log store meanwhile. When Redis is back, the subscriptions begin again, and with
                # them these reads.
                continue

    async def _read_first(self, tails: list[SharedTail]) -> None:
        for tail in tails:
            newest: Any = await self._redis.xrevrange(tail.key, count=_ENTRIES_MAX)
            tail.last_id = b"0-0"
            tail.add(newest[::-1], self._tail_bytes_max)

    async def _read_next(self, last_ids: dict[str, bytes]) -> None:
        if not last_ids:
            return
        answer: Any = await self._redis.xread(cast("Any", last_ids), count=_ENTRIES_MAX)
        for key, entries in answer.items() if isinstance(answer, dict) else answer or ():
            # The last stream of a tail may have ended while Redis answered.
            if (held := self._tails.get(key.decode())) is None:
                continue
            held[0].add(entries, self._tail_bytes_max)
            if len(entries) == _ENTRIES_MAX:
                held[1]()

    @property
    def _tail_bytes_max(self) -> int:
        return min(_TAIL_BYTES_MAX, max(_TAIL_BYTES_MIN, TAILS_BYTES_MAX // max(1, len(self._tails))))
