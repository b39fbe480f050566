"""Notices from Redis for all open streams of this process, over one connection."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

_TICK_S, _AT_REST_S = 0.25, 5.0
"""How often it looks whether it is to stop, or what has to be unsubscribed: while there are listeners, and else."""
_RETRY_S = 0.5

_log = structlog.get_logger()

Listener = Callable[[], None]


class Notices:
    """Calls the listeners of a channel after each message, and whenever the subscription begins or begins again.

    A listener that is added before the connection stands is called when it does: what it reads then is not older than
    its subscription. To be used from one event loop.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: dict[str, list[Listener]] = {}
        self._pubsub: PubSub | None = None
        self._unwanted: set[str] = set()
        self._subscribing: set[asyncio.Task[None]] = set()
        self.connected = False

    def add(self, channel: str, listener: Listener) -> None:
        """Listens to the channel from now on."""
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(listener)
        self._unwanted.discard(channel)
        if self._pubsub is not None:
            # Also where the channel is subscribed already: Redis confirms again, which calls the listener.
            task = asyncio.create_task(self._subscribe(self._pubsub, channel))
            self._subscribing.add(task)
            task.add_done_callback(self._subscribing.discard)

    def remove(self, channel: str, listener: Listener) -> None:
        """Ends what ``add`` began. Does not wait: it is called where a stream is canceled."""
        self._listeners[channel].remove(listener)
        if not self._listeners[channel]:
            del self._listeners[channel]
            self._unwanted.add(channel)

    async def run(self, stopping: Callable[[], bool]) -> None:
        """Listens until ``stopping``. While Redis does not answer, ``connected`` is False and no listener is called."""
        while not stopping():
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._listen(pubsub, stopping)
            except (RedisError, OSError) as error:
                if self.connected:
                    _log.warning("live pages are slower while Redis does not answer", error=str(error))
                await asyncio.sleep(_RETRY_S)
            finally:
                self._pubsub, self.connected = None, False

    async def _listen(self, pubsub: PubSub, stopping: Callable[[], bool]) -> None:
        # A channel that is always there: without one, the connection could not wait.
        await pubsub.subscribe("headway:streams", *self._listeners)
        self._pubsub, self.connected = pubsub, True
        while not stopping():
            tick_s = _TICK_S if self._listeners or self._unwanted else _AT_REST_S
            message: dict[str, Any] | None = await pubsub.get_message(timeout=tick_s)
            if message is not None and message["type"] in {"message", "subscribe"}:
                for listener in self._listeners.get(message["channel"].decode(), ()):
                    listener()
            if self._unwanted:
                unwanted, self._unwanted = self._unwanted, set()
                await pubsub.unsubscribe(*unwanted)

    async def _subscribe(self, pubsub: PubSub, channel: str) -> None:
        try:
            await pubsub.subscribe(channel)
        except (RedisError, OSError):
            # ``run`` notices the same failure, and subscribes to all channels again.
            return
