"""Several streams over one connection: browsers allow six to a server, and every open page wants one."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import structlog

from web.streaming.changes import HEARTBEAT, event

Events = AsyncGenerator[bytes, None]

_LAST = (b"event: end\n", b"event: restart\n", b"event: gone\n")
_log = structlog.get_logger()
_WAITING_EVENTS_MAX = 1  # a browser that reads slowly holds up its streams, and fills no memory


async def joined_events(streams: Mapping[str, Events]) -> Events:
    """The events of all ``streams``, each with the name of its stream before its kind: ``step:9 log``.

    ``lost`` says that a stream ended before its subject did: a browser follows that again after a while. Returns when
    all streams have ended.
    """
    waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING_EVENTS_MAX)
    readers = [asyncio.create_task(_read(name, stream, waiting)) for name, stream in streams.items()]
    try:
        left = len(readers)
        while left:
            got = await waiting.get()
            if got is None:
                left -= 1
            else:
                yield got
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def _read(name: str, stream: Events, waiting: asyncio.Queue[bytes | None]) -> None:
    over = False
    try:
        async with aclosing(stream):
            async for each in stream:
                over = any(last in each for last in _LAST)
                await waiting.put(
                    each if each == HEARTBEAT else each.replace(b"event: ", f"event: {name} ".encode(), 1)
                )
    except Exception:  # noqa: BLE001 - the other streams go on, and this one is opened again
        _log.exception("a live stream has failed", stream=name)
    if not over:
        await waiting.put(event(f"{name} lost", ""))
    await waiting.put(None)


async def ended(kind: str) -> Events:
    """A stream of one event, which says that nothing will follow."""
    yield event(kind, "")
