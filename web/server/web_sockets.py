"""Uvicorn's protocol of WebSockets with limits: it bounds neither small frames, nor a handshake that fails."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

FRAMES_OF_MESSAGE_COUNT_MAX = 64
"""Their bytes are limited, but an empty frame has none."""
UNSENT_BYTES_MAX = 256 * 1024
"""Before a ping is answered: who sends pings and reads nothing is disconnected."""
RECEIVED_BYTES_PER_S = 256 * 1024
FRAMES_PER_S = 100
"""What one connection may send on average: each frame takes the process's only thread, however small it is."""
PIECE_BYTES = 2 * 1024
"""Read at once: 341 of the smallest frames take it for 4 ms."""
NO_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedSocket(WebSocketsSansIOProtocol):
    """A connection that is a WebSocket from now on; ``ended`` is called at its end."""

    def __init__(self, ended: Callable[[], None], **arguments: Any) -> None:  # noqa: ANN401 - Uvicorn's
        super().__init__(**arguments)
        self._ended = ended
        self._received = bytearray()
        self._frames_count = 0
        self._waits = False

    def data_received(self, data: bytes) -> None:
        """Reads frames at the pace that a connection has; before the handshake is answered, none may come."""
        if not self.handshake_initiated:
            super().data_received(data)
        elif not self.handshake_complete:
            self.transport.abort()
        else:
            self._received += data
            self._read_some()

    def _read_some(self) -> None:
        """Reads a piece of what has come, and goes on when as much time has passed as it may take."""
        if self._waits or self.read_paused or not self._received or self.transport.is_closing():
            return
        piece = bytes(self._received[:PIECE_BYTES])
        del self._received[:PIECE_BYTES]
        self._frames_count = 0
        super().data_received(piece)
        if self.transport.is_closing():
            return
        self._waits = True
        self.transport.pause_reading()
        pause_s = max(len(piece) / RECEIVED_BYTES_PER_S, self._frames_count / FRAMES_PER_S)
        asyncio.get_running_loop().call_later(pause_s, self._read_on)

    def _read_on(self) -> None:
        self._waits = False
        self._read_some()
        if not (self._waits or self.read_paused or self.transport.is_closing()):
            self.transport.resume_reading()

    async def receive(self) -> ASGIReceiveEvent:
        """The next message. Uvicorn reads on then; this connection does so at its pace."""
        message = await super().receive()
        self._read_some()
        if self._waits and not self.transport.is_closing():
            self.transport.pause_reading()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Uvicorn takes a refusal for no answer at all, and logs it as an error."""
        await super().send(message)
        self.handshake_complete = self.handshake_complete or self.close_sent

    def handle_events(self) -> None:
        """Counts the frames."""
        self._frames_count += len(self.conn.events)
        super().handle_events()

    def send_receive_event_to_app(self) -> None:
        """Ends a connection whose text is no UTF-8, without a line in the log: it is the client's fault."""
        try:
            if self.curr_msg_data_type == "text":
                b"".join(self.frames).decode()
        except UnicodeDecodeError:
            self.conn.send_close(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

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
