"""The stream of a step's log: by byte offset, from the log store and from the live tail in Redis.

Asynchronous, because many requests stay open in it. The database and the log store are read in threads.
"""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable

from anyio import sleep, to_thread
from redis.asyncio import Redis

from web.operations.errors import NotFoundError
from web.services import Services
from web.streaming.changes import HEARTBEAT, PollTimer, event
from web.streaming.redis_reader import RETRY_S, RedisReader
from web.streaming.snapshots import StepSnapshot
from workers.logs import LogReader
from workers.streaming.redis_stream import LiveChunk, LiveEnd, parse_entry, run_key, step_key

_PIECE_BYTES = 64 * 1024
# A finished step's log is stored before the row says so; a lost worker may leave less than the row promises.
_WAIT_FOR_STORED_S = 3.0


class StepLogStream:
    """One step's log: first the stored bytes, then the live tail, and stored bytes again where the tail has a gap."""

    def __init__(
        self,
        services: Services,
        redis: Redis,
        take_snapshot: Callable[[], StepSnapshot],
        step_id: int,
        now: StepSnapshot,
        position: int,
        seen: str,
    ) -> None:
        self._services = services
        self._take_snapshot = take_snapshot
        self._now = now
        self._position = position
        self._seen = seen
        self._attempt = now.attempt
        self._step_key = step_key(step_id, now.attempt)
        self._run_key = run_key(now.run_id)
        self._redis = RedisReader(redis, {self._step_key: b"0-0"})
        self._timer = PollTimer()
        self._ended_s: float | None = None
        self._restarted = False

    async def events(self) -> AsyncIterator[bytes]:
        """The events that ``step_stream`` describes."""
        await self._redis.start_at_end(self._run_key)
        reader = await to_thread.run_sync(self._services.logs.open, *self._now.address)
        try:
            async for each in self._follow(reader):
                self._timer.sent()
                yield each
        finally:
            reader.close()

    async def _follow(self, reader: LogReader) -> AsyncIterator[bytes]:
        while not (self._restarted or self._services.stopping.is_set()):
            # The rows come first: when they say that the step has ended, what is read after that is the whole log.
            for each in await self._changes():
                yield each
            while data := await to_thread.run_sync(_stored, reader, self._position):
                yield self._log(data)
            if self._complete(reader):
                yield event("end", json.dumps({"state": self._now.state}), self._position)
                return
            for data in await self._live():
                yield self._log(data)
            if self._timer.heartbeat_due():
                yield HEARTBEAT

    async def _live(self) -> list[bytes]:
        """The bytes of the live tail that follow at the position; waits a moment for them."""
        found = await self._redis.read(self._timer.block_ms)
        self._timer.requested |= self._redis.skip(self._run_key, found.get(self._run_key, []))
        new, position = [], self._position
        for entry_id, fields in found.get(self._step_key, []):
            match parse_entry(fields):
                case LiveChunk(offset, _) if offset > position:
                    # A gap: the log store has the missing bytes, or soon will.
                    await sleep(RETRY_S)
                    break
                case LiveChunk(offset, data):
                    new.append(data[position - offset :])
                    position = max(position, offset + len(data))
                case LiveEnd():
                    self._timer.requested = True
            self._redis.last_ids[self._step_key] = entry_id
        return [data for data in new if data]

    async def _changes(self) -> list[bytes]:
        """Reads the rows when it is time to; an event if they differ from those before."""
        if not self._timer.poll_due():
            return []
        try:
            now = await to_thread.run_sync(self._take_snapshot)
        except NotFoundError:
            now = None
        if now is None or now.attempt != self._attempt:
            self._restarted = True
            return [event("restart", "")]
        self._now = now
        if now.final and self._ended_s is None:
            self._ended_s = time.monotonic()
        if now.version == self._seen:
            return []
        self._seen = now.version
        return [event("changed", self._seen)]

    def _log(self, data: bytes) -> bytes:
        self._position += len(data)
        return event("log", base64.b64encode(data).decode(), self._position)

    def _complete(self, reader: LogReader) -> bool:
        if self._ended_s is None:
            return False
        stored = reader.complete or self._position >= self._now.log_bytes
        return stored or time.monotonic() - self._ended_s > _WAIT_FOR_STORED_S


def _stored(reader: LogReader, position: int) -> bytes:
    reader.refresh()
    return reader.read(position, _PIECE_BYTES)
