"""A reverse proxy of a registry: records the requests, and can hold back layers or answer with an error."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

from tests.support.background_server import running
from tests.support.plain_http import PlainHandler

HOLD_S_MAX = 100


class RegistryProxy(ThreadingHTTPServer):
    """Forwards requests to the registry at ``behind``. ``asked`` are the requests so far, as ``GET /v2/...``.

    While the event ``go`` is not set, layers are held back; ``waiting`` is set when one is. ``hung_up`` is set when the
    engine closes a connection early. ``answer``, a status and a body, replaces all answers.
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
        if self.server.answer and self.path.rstrip("/") != "/v2":
            status, body = self.server.answer
            return self._send(status, [("Content-Type", "application/json")], body.encode())
        request = urllib.request.Request(f"http://{self.server.behind}{self.path}", method=self.command)
        for name in ("Accept", "Authorization"):
            for value in self.headers.get_all(name, []):
                request.headers[name] = f"{request.headers[name]}, {value}" if name in request.headers else value
        try:
            with urllib.request.urlopen(request, timeout=HOLD_S_MAX) as answer:
                return self._send(answer.status, answer.getheaders(), answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return self._send(refused.code, list(refused.headers.items()), refused.read())

    do_HEAD = do_GET  # noqa: N815 - the name is the standard library's

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        # Not an image's configuration: an engine may read it before it fetches layers.
        if "/blobs/" in self.path and not body.startswith(b"{") and not self.server.go.is_set():
            self.server.waiting.set()
            self.server.go.wait(HOLD_S_MAX)
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in {"connection", "transfer-encoding", "date", "server"}:
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

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
