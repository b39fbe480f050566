"""WebSockets: an upgrade that fails holds no connection, and no frames hold the process."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from tests.support.services import eventually
from tests.web.conftest import Site, running, serving
from web.server.connections import ConnectionLimits, ConnectionTable
from web.server.http_protocol import bounded_protocol
from web.server.http_server import HttpServer
from web.server.web_sockets import FRAMES_PER_S, PIECE_BYTES

UPGRADE = (
    "GET /api/steps/1/shell HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
MORE = {
    "a length": "Content-Length: 3\r\n",
    "chunks": "Transfer-Encoding: chunked\r\n",
    "a long header": f"X-Long: {'x' * 9000}\r\n",
    "many headers": "".join(f"X-{number}: 1\r\n" for number in range(200)),
    "nothing": "",
}


@pytest.mark.parametrize("more", MORE.values(), ids=MORE.keys())
def test_an_upgrade_that_fails_is_answered_and_its_connection_ends(site: Site, more: str) -> None:
    """More of them than connections may be open: the last is answered like the first."""
    with serving(site.services, ConnectionLimits(connections_max=4)) as url:
        place = urlsplit(url)
        for _ in range(8):
            with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as connection:
                connection.sendall(f"{UPGRADE}{more}\r\n".encode())
                answer = b""
                while piece := connection.recv(4096):
                    answer += piece
                assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ")), answer[:200]


MASK = b"\0\0\0\0"
PING, PONG, TEXT, BINARY = (bytes((0x80 | kind, 0x80)) + MASK for kind in (9, 10, 1, 2))


def sent(url: str, data: bytes, then: bytes = b"") -> bytes:
    """What comes back for these bytes, and for those that follow at once, until the connection ends."""
    place, answer = urlsplit(url), b""
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(data)
        with suppress(OSError):  # it may have been closed meanwhile
            connection.sendall(then)
            while piece := connection.recv(4096):
                answer += piece
    return answer


@pytest.mark.parametrize("frame", [PING, PONG, TEXT, BINARY, b"\x88\x82\0\0\0\0\x03\xe8", b"\x81\x82\0\0\0\0\xff\xfe"])
def test_frames_before_the_answer_end_the_connection_and_write_no_log(
    site: Site, frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(site.services) as url:
        for _ in range(5):
            answer = sent(url, f"{UPGRADE}\r\n".encode(), frame * 3)
            assert answer[:13] in {b"", b"HTTP/1.1 401 "}, answer[:200]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


class Messages:
    """An application that accepts each WebSocket and counts its messages."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            self.count += 1


@contextmanager
def connected(app: Messages) -> Iterator[socket.socket]:
    limits = ConnectionLimits()
    config = uvicorn.Config(
        app, "127.0.0.1", 0, http=bounded_protocol(limits, ConnectionTable(limits)), ws="websockets-sansio",
        ws_per_message_deflate=False, log_config=None, lifespan="off",
    )  # fmt: skip
    with running(HttpServer(config, threading.Event())) as url:
        place = urlsplit(url)
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as connection:
            connection.sendall(f"{UPGRADE}\r\n".encode())
            assert b" 101 " in connection.recv(4096)
            yield connection


@pytest.mark.parametrize("kind", [TEXT, BINARY])
def test_small_frames_come_to_the_application_no_faster_than_their_pace(kind: bytes) -> None:
    """256 KiB that are sent at once: without a pace, one read held the process for half a second."""
    app, pieces = Messages(), 1 + FRAMES_PER_S * 2 // (PIECE_BYTES // len(kind))
    with connected(app) as connection:
        connection.sendall(kind * (256 * 1024 // len(kind)))
        eventually(lambda: app.count)
        time.sleep(1)
        assert 0 < app.count <= (pieces + 1) * (1 + PIECE_BYTES // len(kind))


def test_all_that_is_sent_arrives_and_each_ping_is_answered() -> None:
    app, frames = Messages(), 2 + 2 * PIECE_BYTES // len(BINARY)
    with connected(app) as connection:
        connection.sendall(BINARY * frames + PING)
        eventually(lambda: app.count == frames, 30)
        assert connection.recv(2) == b"\x8a\x00"


def test_a_text_that_is_no_utf8_ends_the_connection_without_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with connected(Messages()) as connection:
        connection.sendall(b"\x81\x82\0\0\0\0\xff\xfe")
        assert connection.recv(4) == b"\x88\x02\x03\xef", "1007: what came does not fit its type"
        assert connection.recv(4) == b""
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
