"""The live tail in Redis: the newest output of running steps, notices of changes and cancellations. It may be lost."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

import structlog
from redis import Redis, RedisError, exceptions
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

CHUNK_BYTES_MAX = 64 * 1024
_CHUNKS_MAX = 256
_LIFETIME_S = 3600
_BLOCK_MS_MAX = 500  # well below the timeout after which a client gives up on Redis
_BACK_OFF_S = 1.0
_POLL_S = 0.02

_log = structlog.get_logger()

CHANGES_CHANNEL = "headway:changes"
"""Pub/sub channel. A message says that some run changed."""

CANCEL_CHANNEL = "headway:cancel"
"""Pub/sub channel. A message is the id of a run that is to be canceled."""


@dataclass(frozen=True)
class LiveChunk:
    """A piece of a step's output. ``offset`` counts from the step's first byte. Pieces may be lost."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class LiveEnd:
    """The step has ended, and all its output is in the log store."""


Entry = LiveChunk | LiveEnd


def step_key(step_id: int, attempt: int) -> str:
    """Stream with a step's output: entries ``{o: offset, d: bytes}``, and ``{e: 1}`` as the last.

    Also the pub/sub channel with a message for each write to this stream: one connection can wait for any number of
    channels, but not for any number of streams.
    """
    return f"headway:step:{step_id}:{attempt}"


def run_channel(run_id: int) -> str:
    """Pub/sub channel with a message for each change of the run, its jobs or its steps."""
    return f"headway:run:{run_id}"


def parse_entry(fields: dict[bytes, bytes]) -> Entry:
    """One entry of a step's stream."""
    return LiveEnd() if b"e" in fields else LiveChunk(int(fields[b"o"]), fields[b"d"])


def connect(redis_url: str, timeout_s: float = 1.0) -> Redis:
    """A client that gives up after ``timeout_s``. Connects when first used; one client serves all threads."""
    return Redis.from_url(
        redis_url,
        # One immediate retry, for a connection that a restart of Redis has cut. The default would wait for seconds.
        retry=Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_keepalive=True,
        health_check_interval=25,
    )


class LiveTail:
    """Publishes and reads live updates. While Redis does not answer, updates are lost: methods return False, no error.

    After a failure it backs off for a second, so that a Redis that hangs does not delay each caller in turn.
    """

    def __init__(self, redis: Redis, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._monotonic_s = monotonic_s
        self._back_off_until_s = 0.0

    def publish(self, step_id: int, attempt: int, offset: int, data: bytes) -> bool:
        """Adds output that begins at ``offset``. Only the newest part of a step is kept: 16 MiB at most."""
        key = step_key(step_id, attempt)
        pipe = self._redis.pipeline(transaction=False)
        for start in range(0, len(data), CHUNK_BYTES_MAX):
            chunk = data[start : start + CHUNK_BYTES_MAX]
            pipe.xadd(key, {"o": offset + start, "d": chunk}, maxlen=_CHUNKS_MAX, approximate=True)
        pipe.expire(key, _LIFETIME_S)
        pipe.publish(key, b"")
        return self._send(pipe)

    def end(self, step_id: int, attempt: int) -> bool:
        """Tells readers that no more output follows. Call it when the output is in the log store."""
        key = step_key(step_id, attempt)
        pipe = self._redis.pipeline(transaction=False)
        pipe.xadd(key, {"e": 1}, maxlen=_CHUNKS_MAX, approximate=True)
        pipe.expire(key, _LIFETIME_S)
        pipe.publish(key, b"")
        return self._send(pipe)

    def read(self, step_id: int, attempt: int, after_id: str = "0", block_ms: int = 0) -> list[tuple[str, Entry]]:
        """The entries after ``after_id`` with their ids. Raises RedisError.

        With ``block_ms`` it waits up to that long for the first of them, half a second at most.
        """
        answer: Any = self._redis.xread(
            {step_key(step_id, attempt): after_id}, block=min(block_ms, _BLOCK_MS_MAX) or None
        )
        streams = answer.items() if isinstance(answer, dict) else answer
        return [(entry_id.decode(), parse_entry(fields)) for _key, entries in streams for entry_id, fields in entries]

    def changed(self, run_id: int) -> bool:
        """Tells open pages that the run changed. Call it after the commit."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.publish(run_channel(run_id), b"")
        pipe.publish(CHANGES_CHANNEL, b"")
        return self._send(pipe)

    def publish_cancel(self, run_id: int) -> bool:
        """Makes workers check at once whether the run is to be canceled. The row decides; this only saves time."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.publish(CANCEL_CHANNEL, run_id)
        return self._send(pipe)

    def close_idle(self) -> None:
        """Closes the connections that no thread uses; the next call opens one again."""
        self._redis.connection_pool.disconnect(inuse_connections=False)

    def _send(self, pipe: Pipeline) -> bool:
        if self._monotonic_s() < self._back_off_until_s:
            return False
        try:
            with pipe:
                pipe.execute()
        except RedisError as error:
            self._back_off_until_s = self._monotonic_s() + _BACK_OFF_S
            _log.warning("live updates are lost while Redis does not answer", error=str(error))
            return False
        return True

    def wait_for_cancel(self, run_id: int, timeout_s: float, stop: Event) -> bool:
        """Waits for ``publish_cancel`` of this run. False after ``timeout_s``, or if ``stop`` is set first."""
        deadline_s = self._monotonic_s() + timeout_s
        try:
            with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                pubsub.subscribe(CANCEL_CHANNEL)
                while self._monotonic_s() < deadline_s and not stop.is_set():
                    message = pubsub.get_message(timeout=_POLL_S)
                    if message is not None and message["data"] == b"%d" % run_id:
                        return True
        except RedisError as error:
            _log.warning("a cancellation takes longer while Redis does not answer", error=str(error))
            stop.wait(max(0.0, deadline_s - self._monotonic_s()))
        return False
