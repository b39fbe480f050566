"""Following what moves: a step's log by byte offset, and the rows of runs. Async, for many requests stay open in it.

The database and the log store are read in threads.
"""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, cast

from anyio import sleep, to_thread
from redis import RedisError
from redis.asyncio import Redis

from pipelines.state import State
from web.operations.log_parts import Address, address_of
from web.operations.lookup import jobs_with_steps, version_of, version_of_recent
from web.services import Services
from workers import store
from workers.db.session import reading
from workers.logs import LogReader
from workers.streaming.redis_stream import LiveChunk, LiveEnd, parse_entry, run_key, step_key

HEARTBEAT_S = 15.0
LOOK_S = 2.0  # how often the rows are looked at when Redis says nothing
HEARTBEAT = b": \n\n"
_BLOCK_MS = 1000
_CALM_S = 0.2
_RETRY_S = 0.1
_PIECE_BYTES = 64 * 1024
_ENTRIES = 8  # half a MiB: what a browser that stops reading leaves in memory
# A finished step's log is stored before the row says so; a lost worker may leave less than the row promises.
_STORED_S = 3.0

Entries = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass(frozen=True)
class Now:
    """What the rows say. ``state`` is the step's or the run's, None where there is neither."""

    version: str
    state: State | None = None
    run_id: int = 0
    address: Address = (0, 0, 0, 0)
    log_bytes: int = 0

    @property
    def attempt(self) -> int:
        return self.address[3]

    @property
    def final(self) -> bool:
        return self.state is not None and self.state.final


def step_now(services: Services, step_id: int) -> Now | None:
    with reading(services.engine) as session:
        place = store.step_place(session, step_id)
        if place is None:
            return None
        step, run = place.step, place.run
        version = version_of(run, jobs_with_steps(session, run.id))
    return Now(version, step.state, run.id, address_of(place), step.log_bytes)


def run_now(services: Services, run_id: int) -> Now | None:
    with reading(services.engine) as session:
        run = store.run_by_id(session, run_id)
        return None if run is None else Now(version_of(run, jobs_with_steps(session, run_id)), run.state)


def front_now(services: Services) -> Now | None:
    with reading(services.engine) as session:
        recent, repos = store.recent_runs(session), store.repos(session)
        return Now(version_of_recent(recent, len(repos), store.idle_runs(session)))


def _event(kind: str, data: str, position: int | None = None) -> bytes:
    head = "" if position is None else f"id: {position}\n"
    return f"{head}event: {kind}\ndata: {data}\n\n".encode()


@dataclass
class _Tails:
    """Redis streams, each read from the entry in ``after`` on. Whoever has dealt with an entry notes it there."""

    redis: Redis
    after: dict[str, bytes]

    async def begin_at_end(self, key: str) -> None:
        """Only what comes from now on counts for this key."""
        try:
            last: Any = await self.redis.xrevrange(key, count=1)
        except (RedisError, OSError):
            last = []
        self.after[key] = last[0][0] if last else b"0-0"

    async def read(self, block_ms: int) -> dict[str, Entries]:
        """New entries by key; waits so long for the first. Nothing, after a moment, where Redis is away."""
        try:
            answer: Any = await self.redis.xread(cast("Any", self.after), count=_ENTRIES, block=block_ms)
        except (RedisError, OSError):
            await sleep(_RETRY_S)
            return {}
        return {
            key.decode(): entries for key, entries in (answer.items() if isinstance(answer, dict) else answer or ())
        }

    def skip(self, key: str, entries: Entries) -> bool:
        """Deals with entries that only say that something changed; whether there were any."""
        if entries:
            self.after[key] = entries[-1][0]
        return bool(entries)


class _Pulse:
    """When the rows are to be looked at again, and when a silent stream is to give a sign of life."""

    def __init__(self) -> None:
        self._spoke = time.monotonic()
        self._looked = float("-inf")
        self.wanted = True

    @property
    def block_ms(self) -> int:
        """How long to wait for Redis: shortly when a look is put off, for word of changes comes in bursts."""
        return int(_CALM_S * 1000) if self.wanted else _BLOCK_MS

    def look_due(self) -> bool:
        """True when it is time to look; counts as looked at."""
        waited = time.monotonic() - self._looked
        due = waited > LOOK_S or (self.wanted and waited > _CALM_S)
        if due:
            self.wanted, self._looked = False, time.monotonic()
        return due

    def spoke(self) -> None:
        """Something was sent."""
        self._spoke = time.monotonic()

    def silent(self) -> bool:
        """True once for every ``HEARTBEAT_S`` of silence."""
        silent = time.monotonic() - self._spoke > HEARTBEAT_S
        if silent:
            self.spoke()
        return silent


async def changes(
    services: Services, redis: Redis, key: str, look: Callable[[], Now | None], seen: str
) -> AsyncIterator[bytes]:
    tails, pulse, now = _Tails(redis, {}), _Pulse(), None
    await tails.begin_at_end(key)
    while not services.stopping.is_set():
        if now is None or pulse.look_due():
            now = await to_thread.run_sync(look)
            if now is None:
                return
        if now.version != seen:
            seen = now.version
            yield _event("changed", seen)
            pulse.spoke()
        if now.final:
            yield _event("end", json.dumps({"state": now.state}))
            return
        pulse.wanted |= tails.skip(key, (await tails.read(pulse.block_ms)).get(key, []))
        if pulse.silent():
            yield HEARTBEAT


class Follow:
    """One step's log: stored bytes first, then the live tail, and stored bytes again wherever the tail has a gap."""

    def __init__(self, services: Services, redis: Redis, step_id: int, now: Now, position: int, seen: str) -> None:
        self._services = services
        self._step_id = step_id
        self._now = now
        self._position = position
        self._seen = seen
        self._attempt = now.attempt
        self._step_key = step_key(step_id, now.attempt)
        self._run_key = run_key(now.run_id)
        self._tails = _Tails(redis, {self._step_key: b"0-0"})
        self._pulse = _Pulse()
        self._over_since: float | None = None
        self._anew = False

    async def events(self) -> AsyncIterator[bytes]:
        """The events of ``step_stream``."""
        await self._tails.begin_at_end(self._run_key)
        reader = await to_thread.run_sync(self._services.logs.open, *self._now.address)
        try:
            async for event in self._follow(reader):
                self._pulse.spoke()
                yield event
        finally:
            reader.close()

    async def _follow(self, reader: LogReader) -> AsyncIterator[bytes]:
        while not (self._anew or self._services.stopping.is_set()):
            # The rows come first: when they say that the step is over, what is read after that is all there is.
            for event in await self._news():
                yield event
            while data := await to_thread.run_sync(_stored, reader, self._position):
                yield self._log(data)
            if self._over(reader):
                yield _event("end", json.dumps({"state": self._now.state}), self._position)
                return
            for data in await self._listen():
                yield self._log(data)
            if self._pulse.silent():
                yield HEARTBEAT

    async def _listen(self) -> list[bytes]:
        """What the live tail adds at the position; waits a while for it."""
        found = await self._tails.read(self._pulse.block_ms)
        self._pulse.wanted |= self._tails.skip(self._run_key, found.get(self._run_key, []))
        fresh, position = [], self._position
        for entry_id, fields in found.get(self._step_key, []):
            match parse_entry(fields):
                case LiveChunk(offset, _) if offset > position:
                    # A gap: the store has what is missing, or soon will.
                    await sleep(_RETRY_S)
                    break
                case LiveChunk(offset, data):
                    fresh.append(data[position - offset :])
                    position = max(position, offset + len(data))
                case LiveEnd():
                    self._pulse.wanted = True
            self._tails.after[self._step_key] = entry_id
        return [data for data in fresh if data]

    async def _news(self) -> list[bytes]:
        """What the rows say that was not said before."""
        if not self._pulse.look_due():
            return []
        now = await to_thread.run_sync(step_now, self._services, self._step_id)
        if now is None or now.attempt != self._attempt:
            self._anew = True
            return [_event("restart", "")]
        self._now = now
        if now.final and self._over_since is None:
            self._over_since = time.monotonic()
        if now.version == self._seen:
            return []
        self._seen = now.version
        return [_event("changed", self._seen)]

    def _log(self, data: bytes) -> bytes:
        self._position += len(data)
        return _event("log", base64.b64encode(data).decode(), self._position)

    def _over(self, reader: LogReader) -> bool:
        if self._over_since is None:
            return False
        stored = reader.complete or self._position >= self._now.log_bytes
        return stored or time.monotonic() - self._over_since > _STORED_S


def _stored(reader: LogReader, position: int) -> bytes:
    reader.refresh()
    return reader.read(position, _PIECE_BYTES)
