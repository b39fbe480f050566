"""A TCP proxy that cuts, delays or swallows, in front of each server. All proxies share one thread."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import StrEnum
from typing import Any

PIECE_BYTES = 64 * 1024


class Mode(StrEnum):
    """What a proxy does. ``SWALLOW``: connections stay open, nothing comes through, and in the end they are reset."""

    OPEN = "open"
    CUT = "cut"
    DELAY = "delay"
    SWALLOW = "swallow"


class Proxy:
    """Forwards from ``port`` to ``target``, both on 127.0.0.1."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.mode, self.delay_s = Mode.OPEN, 0.0
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends all connections, and listens no more."""
        if self._server is not None:
            self._server.close()
        self._reset()

    async def change(self, mode: Mode, delay_s: float) -> None:
        """Does this from now on."""
        if mode is Mode.CUT or self.mode is Mode.SWALLOW:
            self._reset()
        self.mode, self.delay_s = mode, delay_s
        self._flows.clear() if mode is Mode.SWALLOW else self._flows.set()

    def _reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.CUT:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(PIECE_BYTES):
                if self.mode is Mode.DELAY:
                    await asyncio.sleep(self.delay_s)
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
            sink.write_eof()
            return
        sink.transport.abort()


class Proxies:
    """The thread of all proxies."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._all: list[Proxy] = []

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    def add(self, target: int) -> Proxy:
        """A running proxy of this port."""
        proxy = Proxy(target)
        self._do(proxy.listen())
        self._all.append(proxy)
        return proxy

    def change(self, proxy: Proxy, mode: Mode, delay_s: float = 0) -> None:
        """The proxy does this from now on."""
        self._do(proxy.change(mode, delay_s))

    def close(self) -> None:
        """Ends them all."""
        for proxy in self._all:
            self._do(proxy.close())
        self._do(_tasks_end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _tasks_end() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
