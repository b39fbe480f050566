"""Counts the messages of a Redis channel."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis


@contextmanager
def notices(redis: Redis, channel: str) -> Iterator[Callable[[], int]]:
    """Subscribes to the channel; the function says how many messages came since then."""
    with redis.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(channel)
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
        count = 0

        def received() -> int:
            nonlocal count
            while pubsub.get_message(timeout=0.05):
                count += 1
            return count

        yield received
