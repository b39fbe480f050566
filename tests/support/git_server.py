"""A git server with the smart HTTP protocol, with or without TLS and Basic authentication."""

import base64
import os
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.background_server import running

_BIG = 1_000_000
DROP, RESET, CUT = "drop", "reset", "cut"
"""What a server may do in place of an answer: close the connection, reset it, or end it in the middle."""
USER, PASSWORD = "robot", "open sesame; really"


class GitServer(ThreadingHTTPServer):
    """Serves the bare repositories in a folder. ``asked`` are the paths of requests that were authorized.

    ``instead`` are what the next requests get, after ``pass_first`` others: a status with headers and ``words``, or one
    of the words above. ``moved`` are redirects, from the beginning of a path to another or to an address, with the
    status ``redirect``. ``logins`` are the Authorization headers of all requests. ``protocol`` replaces the protocol
    version that the client asks for; empty means version 0. While the event ``hold`` is not set, the rest of a large
    answer is held back.
    """

    def __init__(self, folder: Path, login: bool, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.folder = folder
        self.login = login
        self.asked: list[str] = []
        self.logins: list[str | None] = []
        self.pass_first = 0
        self.words = "the forge's own words"
        self.instead: list[str | tuple[int, dict[str, str]]] = []
        self.moved: dict[str, str] = {}
        self.redirect = 301
        self.protocol: str | None = None
        self.hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]  # only TCP here
        """Ends TLS with a close message: without it, clients treat the answer as truncated."""
        if isinstance(request, ssl.SSLSocket):
            with suppress(OSError):
                request.unwrap()
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores clients that do not trust the certificate and close the connection."""


class _Handler(BaseHTTPRequestHandler):
    server: GitServer

    def do_GET(self) -> None:
        self.server.logins.append(self.headers.get("Authorization"))
        if self.server.pass_first:
            self.server.pass_first -= 1
        elif self.server.instead:
            self._answer_instead(self.server.instead.pop(0))
            return
        if old := next((old for old in self.server.moved if self.path.startswith(f"{old}/")), None):
            to = self.server.moved[old] + self.path.removeprefix(old)
            self._answer_instead((self.server.redirect, {"Location": to}))
            return
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.server.login and self.headers.get("Authorization") != f"Basic {pair}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        self.server.asked.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(["git", "http-backend"], input=body, env=self._cgi(), capture_output=True, check=False)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        if self.server.hold and not self.server.hold.is_set() and len(answer) > _BIG:
            self.wfile.write(answer[:_BIG])
            self.server.hold.wait()
            return
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - http.server looks for this name

    def _answer_instead(self, what: str | tuple[int, dict[str, str]]) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        if isinstance(what, tuple):
            self.send_response(what[0])
            for name, value in {"Content-Type": "text/plain", **what[1]}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(f"{self.server.words}\n".encode())
        elif what == CUT:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"001e# service=git-upload-pack\n0000")
        elif what == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _cgi(self) -> dict[str, str]:
        parts = urlsplit(self.path)
        return {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self._git_protocol(),
            "REMOTE_USER": USER,
        }

    def _git_protocol(self) -> str:
        wanted = self.headers.get("Git-Protocol", "")
        return wanted if self.server.protocol is None else self.server.protocol

    def log_message(self, *arguments: object) -> None:
        """Logs nothing."""


@contextmanager
def git_server(folder: Path, *, login: bool = False, tls: ssl.SSLContext | None = None) -> Iterator[GitServer]:
    """A running server."""
    with running(GitServer(folder, login, tls)) as server:
        yield server
