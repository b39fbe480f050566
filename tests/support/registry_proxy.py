"""A reverse proxy of a registry: records the requests, and can hold back layers or answer in the registry's place."""

import json
import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import ThreadingHTTPServer
from typing import Literal

from tests.support.background_server import running
from tests.support.plain_http import PlainHandler

HOLD_S_MAX = 100
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket that is closed with RST, as if the server had died."""
_NOT_FORWARDED = frozenset({"connection", "transfer-encoding", "date", "server", "www-authenticate"})


@dataclass(frozen=True)
class Fault:
    """What the proxy does in place of an answer: it answers otherwise, or ends the connection.

    ``reset`` ends it before the answer, ``close`` likewise but in order, and ``cut`` in the middle of the real answer.
    """

    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    end: Literal["", "reset", "close", "cut"] = ""


def rate_limit(said: str = "You have reached your pull rate limit.") -> Fault:
    """As Docker Hub and the like answer."""
    body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": said}]})
    return Fault(429, body, {"Retry-After": "1"})


class RegistryProxy(ThreadingHTTPServer):
    """Forwards requests to the registry at ``behind``. ``asked`` are the requests so far, as ``GET /v2/...``.

    While the event ``go`` is not set, layers are held back; ``waiting`` is set when one is. ``hung_up`` is set when the
    engine closes a connection early. ``answer``, a status and a body, replaces all answers. With ``tokens`` it asks for
    a token, which its own ``/token`` gives.
    """

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.host = f"127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.go = threading.Event()
        self.go.set()
        self.waiting = threading.Event()
        self.hung_up = threading.Event()
        self.answer: tuple[int, str] | None = None
        self.tokens = False
        self._faults: list[tuple[re.Pattern[str], Fault]] = []
        self._lock = threading.Lock()

    def fail(self, pattern: str, fault: Fault, times: int = 1) -> None:
        """The next requests that match ``pattern``, such as ``GET .*/manifests/``, meet this fault."""
        self._faults += [(re.compile(pattern), fault)] * times

    def fault_for(self, asked: str) -> Fault | None:
        """Takes the next fault for a request."""
        with self._lock:
            found = next((each for each in self._faults if each[0].match(asked)), None)
            if found:
                self._faults.remove(found)
            return found[1] if found else None

    def recover(self) -> None:
        """No more faults."""
        with self._lock:
            self._faults.clear()

    def fetched(self, kind: str) -> list[str]:
        """The names of the ``blobs`` or ``manifests`` that were fetched, with repetitions."""
        return [path.rpartition("/")[2] for path in list(self.asked) if path.startswith("GET ") and f"/{kind}/" in path]

    def hold(self) -> None:
        """Holds back layers until ``go`` is set."""
        self.waiting.clear()
        self.go.clear()

    def handle_error(self, request: object, client_address: object) -> None:
        """The engine closed the connection."""
        self.hung_up.set()


class _Handler(PlainHandler):
    server: RegistryProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 - the name is the standard library's
        self.server.asked.append(f"{self.command} {self.path}")
        fault = self.server.fault_for(f"{self.command} {self.path}")
        if fault and fault.end != "cut":
            return self._fail(fault)
        if self.server.answer and self.path.rstrip("/") != "/v2":
            status, body = self.server.answer
            return self._send(status, [("Content-Type", "application/json")], body.encode())
        if self.server.tokens and self.path.startswith("/token"):
            return self._send(200, [("Content-Type", "application/json")], b'{"token": "t", "expires_in": 300}')
        if self.server.tokens and "Authorization" not in self.headers:
            realm = f'Bearer realm="http://{self.server.host}/token",service="test"'
            return self._send(401, [("WWW-Authenticate", realm)], b"{}")
        return self._forward(cut=fault is not None)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names are the standard library's

    def _fail(self, fault: Fault) -> None:
        if not fault.end:
            kind = [("Content-Type", "application/json" if fault.body.startswith("{") else "text/html")]
            self.close_connection = True
            return self._send(fault.status, [*kind, *fault.headers.items()], fault.body.encode())
        if fault.end == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close_connection = True
        self.connection.close() if fault.end == "reset" else self.connection.shutdown(socket.SHUT_RDWR)
        return None

    def _forward(self, *, cut: bool) -> None:
        connection = HTTPConnection(self.server.behind, timeout=HOLD_S_MAX)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if not (self.server.tokens and name.lower() == "authorization"):
                    connection.putheader(name, value)
            connection.endheaders(self._body())
            answer = connection.getresponse()
            self._send(answer.status, answer.getheaders(), answer.read(), cut=cut)
        except HTTPException:
            self.close_connection = True
        finally:
            connection.close()

    def _body(self) -> bytes:
        """What the client sends, with its chunks as they are."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while True:
            head = self.rfile.readline()
            chunks.append(head + self.rfile.read(int(head, 16) + 2))
            if int(head, 16) == 0:
                return b"".join(chunks)

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool = False) -> None:
        # Not an image's configuration: an engine may read it before it fetches layers.
        if "/blobs/" in self.path and not body.startswith(b"{") and not self.server.go.is_set():
            self.server.waiting.set()
            self.server.go.wait(HOLD_S_MAX)
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _NOT_FORWARDED or status == 401:
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def registry_proxy(behind: str) -> Iterator[RegistryProxy]:
    """A running proxy of the registry at ``behind``."""
    with running(RegistryProxy(behind)) as proxy:
        try:
            yield proxy
        finally:
            proxy.go.set()
