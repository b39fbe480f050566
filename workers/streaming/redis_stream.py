"""What moves while a step runs: its output's tail and word of changes, in Redis. All of it may be lost at any time."""

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
_CHANGES_MAX = 16
_LIFETIME_S = 3600
_BLOCK_MS_MAX = 500  # well below the time after which a client takes a silent Redis for dead
_SILENCE_S = 1.0
_STOP_EVERY_S = 0.02

_log = structlog.get_logger()

CHANGES_KEY = "headway:changes"
"""Stream with an entry ``{r: run id}`` for each change of any run."""

CANCEL_CHANNEL = "headway:cancel"
"""Pub/sub channel; a message is the id of a run that was asked to stop."""


@dataclass(frozen=True)
class LiveChunk:
    """A piece of a step's output. ``offset`` counts from the step's first byte; pieces may be missing, never twice."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class LiveEnd:
    """The step has ended; all its output is stored."""


Entry = LiveChunk | LiveEnd


def step_key(step_id: int, attempt: int) -> str:
    """Stream with a step's output: entries ``{o: offset, d: bytes}``, and ``{e: 1}`` as the last."""
    return f"headway:step:{step_id}:{attempt}"


def run_key(run_id: int) -> str:
    """Stream with an entry ``{c: 1}`` for each change of the run, its jobs or its steps."""
    return f"headway:run:{run_id}"


def parse_entry(fields: dict[bytes, bytes]) -> Entry:
    """One entry of a step's stream."""
    return LiveEnd() if b"e" in fields else LiveChunk(int(fields[b"o"]), fields[b"d"])


def connect(redis_url: str, timeout_s: float = 1.0) -> Redis:
    """A client that gives up after ``timeout_s``. Connects when first used; one client serves all threads."""
    return Redis.from_url(
        redis_url,
        # Once more at once, for a connection that a restart of Redis has cut; the default waits for seconds.
        retry=Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_keepalive=True,
        health_check_interval=25,
    )


class LiveTail:
    """The live side of steps and runs. What is told while Redis is away is lost: False is the answer, never an error.

    After a failure it does not ask again for a second: a silent Redis must not hold up whoever tells.
    """

    def __init__(self, redis: Redis, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._monotonic_s = monotonic_s
        self._silent_until_s = 0.0

    def publish(self, step_id: int, attempt: int, offset: int, data: bytes) -> bool:
        """Adds output that begins at ``offset``. Only the newest part of a step is kept: 16 MiB at most."""
        key = step_key(step_id, attempt)
        pipe = self._redis.pipeline(transaction=False)
        for start in range(0, len(data), CHUNK_BYTES_MAX):
            chunk = data[start : start + CHUNK_BYTES_MAX]
            pipe.xadd(key, {"o": offset + start, "d": chunk}, maxlen=_CHUNKS_MAX, approximate=True)
        pipe.expire(key, _LIFETIME_S)
        return self._tell(pipe)

    def end(self, step_id: int, attempt: int) -> bool:
        """Tells readers that nothing more comes. To be called when the output is stored."""
        key = step_key(step_id, attempt)
        pipe = self._redis.pipeline(transaction=False)
        pipe.xadd(key, {"e": 1}, maxlen=_CHUNKS_MAX, approximate=True)
        pipe.expire(key, _LIFETIME_S)
        return self._tell(pipe)

    def read(self, step_id: int, attempt: int, after_id: str = "0", block_ms: int = 0) -> list[tuple[str, Entry]]:
        """The entries after ``after_id`` with their ids. Raises RedisError.

        With ``block_ms`` it waits so long for the first of them, half a second at most.
        """
        answer: Any = self._redis.xread(
            {step_key(step_id, attempt): after_id}, block=min(block_ms, _BLOCK_MS_MAX) or None
        )
        streams = answer.items() if isinstance(answer, dict) else answer
        return [(entry_id.decode(), parse_entry(fields)) for _key, entries in streams for entry_id, fields in entries]

    def changed(self, run_id: int) -> bool:
        """Tells pages that something about the run changed. To be called after the commit."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.xadd(run_key(run_id), {"c": 1}, maxlen=_CHANGES_MAX, approximate=True)
        pipe.expire(run_key(run_id), _LIFETIME_S)
        pipe.xadd(CHANGES_KEY, {"r": run_id}, maxlen=_CHANGES_MAX, approximate=True)
        return self._tell(pipe)

    def publish_cancel(self, run_id: int) -> bool:
        """Makes workers look at once whether the run is to be canceled. The row says so; this only saves time."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.publish(CANCEL_CHANNEL, run_id)
        return self._tell(pipe)

    def _tell(self, pipe: Pipeline) -> bool:
        if self._monotonic_s() < self._silent_until_s:
            return False
        try:
            with pipe:
                pipe.execute()
        except RedisError as error:
            self._silent_until_s = self._monotonic_s() + _SILENCE_S
            _log.warning("live updates are lost while Redis does not answer", error=str(error))
            return False
        return True

    def wait_for_cancel(self, run_id: int, timeout_s: float, stop: Event) -> bool:
        """Waits for a nudge about this run; False if none came in ``timeout_s``, or before ``stop`` was set."""
        deadline_s = self._monotonic_s() + timeout_s
        try:
            with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                pubsub.subscribe(CANCEL_CHANNEL)
                while self._monotonic_s() < deadline_s and not stop.is_set():
                    message = pubsub.get_message(timeout=_STOP_EVERY_S)
                    if message is not None and message["data"] == b"%d" % run_id:
                        return True
        except RedisError as error:
            _log.warning("a cancel takes longer to arrive while Redis does not answer", error=str(error))
            stop.wait(max(0.0, deadline_s - self._monotonic_s()))
        return False
