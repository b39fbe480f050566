"""How often the scheduler looks: every second while runs are unfinished, and seldom while there are none.

A scheduler that reads the database every second took three quarters of what Headway takes at rest. News comes through
Redis; while Redis is away, or news is lost, a look every five seconds finds it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from redis import Redis, RedisError

from workers.streaming.redis_stream import CHANGES_CHANNEL

AT_REST_S = 5.0
BUSY_FOR_S = 10.0
"""How long it goes on looking every second after the last news."""
_LISTEN_S = 1.0
_NOT_LISTENING_S = 1.0

_log = structlog.get_logger()


class Pace:
    """Shared by all threads of the scheduler."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._busy_until_s = monotonic_s() + BUSY_FOR_S
        self._news = threading.Condition()
        self._count = 0

    @property
    def busy(self) -> bool:
        """True for ``BUSY_FOR_S`` after the start and after each ``news``."""
        return self._monotonic_s() < self._busy_until_s

    def news(self) -> None:
        """Something may be to do: waiting threads go on, at once if they were at rest."""
        with self._news:
            if not self.busy:
                self._count += 1
                self._news.notify_all()
            self._busy_until_s = self._monotonic_s() + BUSY_FOR_S

    def end(self) -> None:
        """Wakes all threads: the scheduler stops."""
        with self._news:
            self._count += 1
            self._news.notify_all()

    def wait(self, busy_s: float, at_rest_s: float | None) -> None:
        """Waits ``busy_s``; at rest ``at_rest_s`` or until there is news, which None alone waits for."""
        with self._news:
            seen = self._count
            if self.busy:
                self._news.wait_for(lambda: self._count != seen, busy_s)
            else:
                self._news.wait_for(lambda: self._count != seen, at_rest_s)


@contextmanager
def listening(redis: Redis, pace: Pace) -> Iterator[None]:
    """Gives ``pace`` the news that come through Redis, in a thread that ends with the block."""
    stop = threading.Event()
    thread = threading.Thread(target=listen_for_news, args=(redis, pace, stop), name="news", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def listen_for_news(redis: Redis, pace: Pace, stop: threading.Event) -> None:
    """Gives ``pace`` the news that come through Redis, until ``stop`` is set. While Redis is away all is news."""
    while not stop.is_set():
        try:
            with redis.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                pubsub.subscribe(CHANGES_CHANNEL)
                pace.news()  # what came before was not heard
                while not stop.is_set():
                    if pubsub.get_message(timeout=_LISTEN_S) is not None:
                        pace.news()
        except RedisError as error:
            _log.warning("the scheduler looks every second while Redis does not answer", error=str(error))
            while not stop.wait(_NOT_LISTENING_S) and not _answers(redis):
                pace.news()


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False
