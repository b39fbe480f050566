"""A base for servers of tests that speak plain HTTP and are asked by an engine, which may try TLS first."""

import socket
from http.server import BaseHTTPRequestHandler

_TLS_HANDSHAKE = b"\x16"
"""The first byte of a TLS connection (RFC 8446, section 5.1)."""


class PlainHandler(BaseHTTPRequestHandler):
    """Answers a TLS handshake in plain HTTP, as servers written in Go do: containerd then asks again without TLS."""

    connection: socket.socket

    def handle(self) -> None:
        """One connection."""
        if self.connection.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
            self.connection.recv(64 * 1024)
            self.connection.sendall(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            super().handle()
