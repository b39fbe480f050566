"""Uvicorn's protocol of WebSockets with limits: it bounds neither small frames, nor a handshake that fails."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

FRAMES_OF_MESSAGE_COUNT_MAX = 64
"""Their bytes are limited, but an empty frame has none."""
UNSENT_BYTES_MAX = 256 * 1024
"""Before a ping is answered: who sends pings and reads nothing is disconnected."""
RECEIVED_BYTES_PER_S = 256 * 1024
"""What one connection may send on average: each tiny frame takes the process's only thread."""
NO_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedSocket(WebSocketsSansIOProtocol):
    """A connection that is a WebSocket from now on; ``ended`` is called at its end."""

    def __init__(self, ended: Callable[[], None], **arguments: Any) -> None:  # noqa: ANN401 - Uvicorn's
        super().__init__(**arguments)
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        """Reads on when as much time has passed as these bytes may take."""
        super().data_received(data)
        if self.transport.is_closing() or self.read_paused:
            return
        self.transport.pause_reading()
        asyncio.get_running_loop().call_later(len(data) / RECEIVED_BYTES_PER_S, self._read_on)

    def _read_on(self) -> None:
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def handle_cont(self, event: Frame) -> None:
        """Ends a connection whose message has too many frames."""
        if len(self.frames) >= FRAMES_OF_MESSAGE_COUNT_MAX:
            self.transport.abort()
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Ends a connection that does not read the answers to its pings."""
        if self.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.transport.abort()
        else:
            super().handle_ping()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection no longer counts."""
        self._ended()
        super().connection_lost(exc)


def end_without_handshake(transport: asyncio.Transport) -> None:
    """Ends a connection whose request the WebSocket protocol has refused without an answer, as for a long header."""
    protocol = cast("BoundedSocket", transport.get_protocol())
    if not protocol.handshake_initiated and not transport.is_closing():
        transport.write(NO_HANDSHAKE)
        transport.close()
