"""Relays a shell between a WebSocket and this terminal.

It is in one event loop: what is typed waits for the server without holding up what the shell shows. Two threads of a
synchronous client would wait for each other where both directions are full, as with a large paste into ``cat``.
"""

import asyncio
import json
import os
import threading
from contextlib import suppress
from typing import NamedTuple

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from runner.cli.shell.relay import raw_terminal
from workers.shells.limits import MESSAGE_BYTES_MAX
from workers.shells.messages import Size

LOST = "The connection to the server was lost."


class ShellEnd(NamedTuple):
    """How a shell has ended; without an exit status it was ended."""

    sentence: str
    exit_status: int | None = None


class TerminalShell:
    """A shell whose terminal is the descriptor ``source``; ``output`` gets what it shows."""

    def __init__(self, socket: ClientConnection, source: int, output: int) -> None:
        self._socket, self._source, self._output = socket, source, output
        self._resized = asyncio.Event()
        self._end: ShellEnd | None = None

    async def run(self) -> ShellEnd:
        """Relays until the shell has ended, in whatever way. Raises OSError where the output cannot be written.

        The terminal is raw while the shell is open, and before that Ctrl-C ends this program.
        """
        with suppress(ConnectionClosed):
            if await self._is_opened():
                loop = asyncio.get_running_loop()

                def resized(_size: os.terminal_size) -> None:  # in a handler of a signal, so between any two lines
                    loop.call_soon_threadsafe(self._resized.set)

                with raw_terminal(self._source, resized):
                    await self._relay()
        return self._end or ShellEnd(LOST)

    async def _is_opened(self) -> bool:
        while self._end is None:
            received = await self._socket.recv()
            if isinstance(received, str) and self._take(received):
                return True
        return False

    async def _relay(self) -> None:
        sending = [asyncio.create_task(each) for each in (self._send_typed(), self._send_sizes())]
        try:
            while self._end is None:
                received = await self._socket.recv()
                if isinstance(received, bytes):
                    await written(self._output, received)
                else:
                    self._take(received)
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    def _take(self, text: str) -> bool:
        """Takes a text message. True where it says that the shell is open."""
        try:
            said = json.loads(text)
            if "end" in said:
                status = said.get("exit_status")
                self._end = ShellEnd(str(said["end"]), status if isinstance(status, int) else None)
            return bool(said.get("opened"))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return False

    async def _send_typed(self) -> None:
        with suppress(ConnectionClosed, OSError):
            while True:
                await _readable(self._source)
                if not (typed := os.read(self._source, MESSAGE_BYTES_MAX)):
                    break
                await self._socket.send(typed)
        # Where the terminal is closed: the other tasks end with the connection.
        await self._socket.close()

    async def _send_sizes(self) -> None:
        with suppress(ConnectionClosed, OSError):
            while True:
                await self._resized.wait()
                self._resized.clear()
                size = terminal_size(self._source)
                await self._socket.send(json.dumps({"rows": size.rows, "columns": size.columns}))


def terminal_size(descriptor: int) -> Size:
    """The size of a terminal; the usual one where it does not know its own. Raises OSError."""
    size = os.get_terminal_size(descriptor)
    return Size(size.lines or Size.rows, size.columns or Size.columns).bounded()


async def _readable(descriptor: int) -> None:
    """Waits until something can be read."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def written(descriptor: int, data: bytes) -> None:
    """Waits until all of it is written. Raises OSError.

    A terminal that takes nothing for a while holds up a thread that the end of the process does not wait for; the event
    loop goes on and answers the server's pings.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def finish(error: OSError | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def write() -> None:
        error, left = None, memoryview(data)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(finish, error)

    threading.Thread(target=write, daemon=True).start()
    await done
