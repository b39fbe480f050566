"""The stream of a step's log: by byte offset, from the log store and from the live tail in Redis.

Asynchronous, because many requests stay open in it. The database and the log store are read in threads.
"""

import base64
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from functools import partial

from anyio import to_thread
from sqlalchemy.exc import OperationalError

from runner.events import Stream
from web.operations.errors import NotFoundError
from web.operations.runs.log_streams import only_from
from web.services import Services
from web.streaming.changes import HEARTBEAT, HeartbeatTimer, event
from web.streaming.hub import Hub
from web.streaming.shared_snapshot import SharedSnapshot
from web.streaming.shared_tail import PIECE_BYTES, SharedTail
from web.streaming.snapshots import StepSnapshot
from workers.blobs import BlobError
from workers.logs import LogReader
from workers.streaming.redis_stream import run_channel

_RETRY_S = 0.1
_STORE_POLL_S = 0.5
"""So often the store is read for a reader of one stream alone while the step writes."""
# A finished step's log is stored before the row says so; a lost worker may leave less than the row promises.
_WAIT_FOR_STORED_S = 3.0


class StepLogStream:
    """One step's log: first the stored bytes, then the live tail, and stored bytes again where the tail has a gap.

    With ``only`` what of the stored bytes came from there: the tail does not know it.
    """

    def __init__(
        self,
        services: Services,
        hub: Hub,
        key: Hashable,
        take_snapshot: Callable[[], StepSnapshot],
        now: StepSnapshot,
        position: int,
        seen: str,
        only: Stream | None = None,
    ) -> None:
        self._services = services
        self._hub = hub
        self._key = key
        self._take_snapshot = take_snapshot
        self._now = now
        self._position = position
        self._seen = seen
        self._only = only
        self._heartbeat = HeartbeatTimer()
        self._read_store_s = 0.0
        self._ended_s: float | None = None
        self._over = False

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The events that ``step_stream`` describes."""
        channel, step_id = run_channel(self._now.run_id), self._now.step_id
        with (
            self._hub.stream() as stream,
            stream.snapshot(self._key, channel, self._take_snapshot) as rows,
            stream.tail(step_id, self._now.attempt) as tail,
        ):
            log = self._services.logs
            reader = await to_thread.run_sync(log.open, *self._now.address, limiter=self._hub.log_threads)
            try:
                read, ended = rows.request(stream.wake), False
                while not self._hub.stopping:
                    # After a failure no read follows, so none is waited for.
                    known = rows.failure or rows.finished_reads >= read
                    async for each in self._news(rows if known else None, reader, tail):
                        self._heartbeat.sent()
                        yield each
                    if self._over:
                        return
                    if self._complete(reader):
                        yield event("end", json.dumps({"state": self._now.state}), self._position)
                        return
                    if tail.ended and not ended:
                        read, ended = rows.request(stream.wake), True
                    await stream.wait(self._wait_s(tail))
                    if self._heartbeat.due():
                        yield HEARTBEAT
            finally:
                reader.close()

    async def _news(
        self, rows: SharedSnapshot[StepSnapshot] | None, reader: LogReader, tail: SharedTail
    ) -> AsyncIterator[bytes]:
        # The rows come first: when they say that the step has ended, what is read after that is the whole log.
        for each in self._changes(rows):
            yield each
        if self._over:
            # Nothing more of the log: it may be that its reader is not allowed to see it any more.
            return
        while data := (b"" if self._only else tail.read(self._position)) or await self._stored(reader, tail):
            shown = await self._shown(reader, data)
            self._position += len(data)
            if shown:
                yield event("log", base64.b64encode(shown).decode(), self._position)

    async def _shown(self, reader: LogReader, data: bytes) -> bytes:
        if self._only is None:
            return data
        work = partial(only_from, reader, self._only, self._position, data)
        return await to_thread.run_sync(work, limiter=self._hub.log_threads)

    def _changes(self, rows: SharedSnapshot[StepSnapshot] | None) -> list[bytes]:
        """An event if the rows differ from those before."""
        if rows is None:
            return []
        if rows.failure and not isinstance(rows.failure, NotFoundError):
            # The database does not answer. Browsers open the stream again, from where they are.
            self._over = True
            return []
        now = rows.now
        if now is None or now.attempt != self._now.attempt:
            self._over = True
            return [event("restart", "")]
        self._now = now
        if now.final and self._ended_s is None:
            self._ended_s = time.monotonic()
        if now.version == self._seen:
            return []
        self._seen = now.version
        return [event("changed", self._seen)]

    async def _stored(self, reader: LogReader, tail: SharedTail) -> bytes:
        """Bytes of the log store, if there may be some that are not in the tail."""
        is_due = self._ended_s is not None or (self._store_has_more(tail) and self._only is None)
        if not is_due and time.monotonic() < self._read_store_s:
            return b""
        data = await to_thread.run_sync(_stored, reader, self._position, limiter=self._hub.log_threads)
        self._read_store_s = time.monotonic() + (self._hub.poll_s if self._only is None else _STORE_POLL_S)
        return data

    def _store_has_more(self, tail: SharedTail) -> bool:
        return self._ended_s is not None or self._position < tail.end

    def _wait_s(self, tail: SharedTail) -> float:
        if self._store_has_more(tail):
            return _RETRY_S if self._only is None else _STORE_POLL_S
        return min(self._heartbeat.left_s, max(0.0, self._read_store_s - time.monotonic()))

    def _complete(self, reader: LogReader) -> bool:
        if self._ended_s is None:
            return False
        stored = reader.complete or self._position >= self._now.log_bytes
        return stored or time.monotonic() - self._ended_s > _WAIT_FOR_STORED_S


def _stored(reader: LogReader, position: int) -> bytes:
    """The next stored bytes; none while the database or the blob store does not answer, and then it is asked again."""
    try:
        reader.refresh()
        return reader.read(position, PIECE_BYTES)
    except (BlobError, OperationalError):
        return b""
