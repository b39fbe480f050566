"""Upgrades to a WebSocket: one that fails holds no connection."""

import socket
from urllib.parse import urlsplit

import pytest

from tests.web.conftest import Site, serving
from web.server.connections import ConnectionLimits

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
