"""A base for HTTP test servers that an engine uses, which may try TLS first."""

import socket
from http.server import BaseHTTPRequestHandler

_TLS_HANDSHAKE = b"\x16"
"""The first byte of a TLS connection (RFC 8446, section 5.1)."""


class PlainHandler(BaseHTTPRequestHandler):
    """Answers a TLS handshake with plain HTTP, as Go servers do: containerd then retries without TLS."""

    connection: socket.socket

    def handle(self) -> None:
        """Handles one connection."""
        if self.connection.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
            self.connection.recv(64 * 1024)
            self.connection.sendall(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            super().handle()
