"""Uvicorn's HTTP protocol with limits: Uvicorn itself bounds neither headers, nor the time that a client takes."""

import asyncio
import re
import socket
from functools import partial
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from web.security.client_address import client_group
from web.server.connections import ConnectionLimits, ConnectionTable
from web.server.web_sockets import BoundedSocket, end_without_handshake

_PIECE_BYTES = 64 * 1024
_RETRY_AFTER_S = 5
_BUSY = 503
_OF_BODIES = frozenset({b"content-length", b"transfer-encoding"})
_SOCKETS = re.compile(rb"/api/steps/[0-9]+/shell(?:\?.*)?")

HEAD_TOO_LARGE = "The request line and headers are larger than {limit:,} bytes."
LINE_TOO_LARGE = "The address in the request line is larger than {limit:,} bytes."
HEAD_TOO_SLOW = "The headers did not arrive within {limit:g} seconds."
BODY_TOO_SLOW = "The body did not arrive within {limit:g} seconds."
NOT_HTTP = "This is no valid HTTP request."
TOO_MANY_PIPELINED = "More than {limit} requests wait on this connection."
TOO_MANY_CONNECTIONS = f"Too many connections are open on this server. Try again in {_RETRY_AFTER_S} seconds."


class _RefusedError(Exception):
    """Ends the parsing of a request from within the parser's callbacks."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class BoundedProtocol(HttpToolsProtocol):
    """One connection. ``limits`` and ``table`` belong to the server: see ``bounded_protocol``."""

    limits: ClassVar[ConnectionLimits]
    table: ClassVar[ConnectionTable]

    address = group = ""
    _receiving_head = False
    _receiving_body = False
    _head_bytes = 0
    # Bytes since the parser last completed something: it keeps an unfinished header in memory, however long.
    _unfinished_bytes = 0
    _unread_bytes = 0
    _deadline_s: float | None = None
    _unsent_bytes = 0
    _is_socket = False
    _taken_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Counts the connection; refuses it if there are too many."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.group = client_group(self.address)
        self._deadline_s = self.loop.time() + self.limits.head_s
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.limits.send_buffer_bytes)
        if not self.table.opened(self, self.loop):
            self._refuse(_BUSY, TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection no longer counts."""
        self.table.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses in pieces, so that a limit is noticed after one piece too much at the latest."""
        self._unset_keepalive_if_required()
        for start in range(0, len(data), _PIECE_BYTES):
            if self.transport.is_closing() or self._is_socket:
                return
            self._parse(data if len(data) <= _PIECE_BYTES else data[start : start + _PIECE_BYTES])
        if not self._is_socket:
            self._set_deadline()

    def _should_upgrade(self) -> bool:
        """Only for the one address that has a WebSocket: all others keep the limits of this protocol."""
        return bool(_SOCKETS.fullmatch(self.url)) and super()._should_upgrade()

    def _to_socket(self) -> None:
        """Hands the connection on. It still counts, and a client that takes nothing is still disconnected."""
        if self._answering or _OF_BODIES.intersection(name for name, _ in self.headers):
            self._refuse(400, NOT_HTTP)
            return
        self._is_socket = True
        self._receiving_head = self._receiving_body = False
        self._deadline_s = None
        self.table.works(self)
        self.ws_protocol_class = partial(BoundedSocket, partial(self.table.closed, self))  # type: ignore[assignment]
        self.handle_websocket_upgrade()
        end_without_handshake(self.transport)

    def _parse(self, piece: bytes) -> None:
        self._unfinished_bytes += len(piece)
        try:
            self.parser.feed_data(piece)
            self._check_unfinished()
        except httptools.HttpParserUpgrade:
            # Without an upgrade the request is answered as it is, and what follows is not read.
            self._unfinished_bytes = 0
            if self._should_upgrade():
                self._to_socket()
        except httptools.HttpParserError as error:
            reason = error.__context__
            if isinstance(reason, _RefusedError):
                self._refuse(reason.status, str(reason))
            else:
                self._refuse(400, NOT_HTTP)
        except _RefusedError as error:
            self._refuse(error.status, str(error))

    def _check_unfinished(self) -> None:
        if not self._receiving_body:
            self._check_head(self._head_bytes + self._unfinished_bytes)
        elif self._unfinished_bytes > self.limits.head_bytes_max + _PIECE_BYTES:
            self._check_head(self._unfinished_bytes)

    def _check_head(self, size_bytes: int) -> None:
        if size_bytes > self.limits.head_bytes_max:
            raise _RefusedError(431, HEAD_TOO_LARGE.format(limit=self.limits.head_bytes_max))

    def _set_deadline(self) -> None:
        """The time at which what is being received must be complete. It is not moved by bytes that trickle in."""
        receiving = self._receiving_head or self._receiving_body
        if not receiving and self._answering:
            self._deadline_s = None
        elif self._deadline_s is None:
            self._deadline_s = self.loop.time() + self.limits.head_s

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        # Uvicorn declares that it is always there.
        return self.cycle

    @property
    def _answering(self) -> bool:
        return (cycle := self._cycle) is not None and not cycle.response_complete

    def on_message_begin(self) -> None:
        """A request begins. Its deadline is set when the bytes at hand are parsed."""
        super().on_message_begin()
        self._receiving_head = True
        self._head_bytes = self._unfinished_bytes = self._unread_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A part of the address in the request line."""
        super().on_url(url)
        self._count(len(url))
        if len(self.url) > self.limits.request_line_bytes_max:
            raise _RefusedError(414, LINE_TOO_LARGE.format(limit=self.limits.request_line_bytes_max))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer after a chunked body: trailers are checked and ignored."""
        if not self._receiving_body:
            super().on_header(name, value)
        self._count(len(name) + len(value) + 4)

    def _count(self, size_bytes: int) -> None:
        self._unfinished_bytes = 0
        self._head_bytes += size_bytes
        self._check_head(self._head_bytes)

    def on_headers_complete(self) -> None:
        """The request is handed to the application, which may read its body as it comes."""
        if len(self.pipeline) >= self.limits.pipelined_max:
            raise _RefusedError(400, TOO_MANY_PIPELINED.format(limit=self.limits.pipelined_max))
        self._receiving_head, self._receiving_body = False, True
        self._head_bytes = self._unfinished_bytes = 0
        self._deadline_s = self.loop.time() + self.limits.body_s
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body. After the response it is thrown away, up to a limit."""
        self._unfinished_bytes = 0
        super().on_body(body)
        if not self._answering:
            self._unread_bytes += len(body)
            if self._unread_bytes > self.limits.unread_bytes_max:
                self.transport.close()

    def on_message_complete(self) -> None:
        """The request is complete: from here on, its time is the server's."""
        super().on_message_complete()
        self._receiving_body = False
        self._deadline_s = None
        self._head_bytes = self._unfinished_bytes = 0
        if self._answering:
            self.table.works(self)

    def on_response_complete(self) -> None:
        """The connection waits for the next request."""
        super().on_response_complete()
        if not self.pipeline and not self._answering:
            self.table.waits(self)

    def resume_writing(self) -> None:
        """The client took what had been written."""
        self._taken_s = None
        super().resume_writing()

    def check(self, now_s: float) -> None:
        """See ``Connection``."""
        if self._deadline_s is not None and now_s > self._deadline_s and not self.transport.is_closing():
            if self._receiving_body:
                self._refuse(408, BODY_TOO_SLOW.format(limit=self.limits.body_s))
            else:
                self._refuse(408, HEAD_TOO_SLOW.format(limit=self.limits.head_s))
        unsent = self.transport.get_write_buffer_size()
        taken = unsent <= self._unsent_bytes - self.limits.taken_bytes_min
        if not unsent or taken or self._taken_s is None:
            self._unsent_bytes, self._taken_s = unsent, now_s
        elif now_s - self._taken_s > self.limits.stalled_s:
            self.transport.abort()
        else:
            self._unsent_bytes = max(self._unsent_bytes, unsent)

    def evict(self) -> None:
        """See ``Connection``. The table does not check it any more: nothing of it may be left."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._refuse(_BUSY, TOO_MANY_CONNECTIONS)

    def _refuse(self, status: int, sentence: str) -> None:
        """Answers, unless a response has begun, and disconnects."""
        # A response that has begun, or that an earlier request waits for, must not be mixed with this one.
        started = self._answering and (self.cycle.response_started or not self._receiving_body or bool(self.pipeline))
        if (cycle := self._cycle) is not None:
            # What the application still answers is dropped.
            cycle.disconnected = True
            cycle.message_event.set()
        if not started and not self.transport.is_closing():
            content = sentence.encode() + b"\n"
            retry = b"retry-after: %d\r\n" % _RETRY_AFTER_S if status == _BUSY else b""
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
                + retry
                + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(content)
                + content
            )
        self.transport.close()


def bounded_protocol(limits: ConnectionLimits, table: ConnectionTable) -> type[BoundedProtocol]:
    """The protocol class of one server."""
    members: dict[str, Any] = {"limits": limits, "table": table}
    return type("BoundedProtocol", (BoundedProtocol,), members)
