"""An HTTP forward proxy with CONNECT, with or without a password."""

import base64
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from urllib.parse import urlsplit

from runner.docker.client import Engine
from tests.support.background_server import running

USER, PASSWORD = "employee", "pass/word-7d1"
QUOTED = "pass%2Fword-7d1"
_WAIT_S = 30


class ForwardProxy(ThreadingHTTPServer):
    """``asked`` are the requests so far, as ``CONNECT host:port`` or ``GET http://host/path``, also refused ones.

    ``names`` are host names that only the proxy can resolve, to this machine. With ``login`` it requires a password.
    """

    daemon_threads = True

    def __init__(self, address: str, names: tuple[str, ...], login: bool) -> None:
        super().__init__((address, 0), _Handler)
        self.names = names
        self.login = login
        self.asked: list[str] = []
        self.refused = 0
        self.host = f"{address}:{self.server_port}"
        self.url = f"http://{USER}:{QUOTED}@{self.host}" if login else f"http://{self.host}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables in one spelling, as a user may set them."""
        return {"HTTP_PROXY": self.url, "HTTPS_PROXY": self.url}

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores closed connections."""

    def resolve(self, host: str, port: int) -> tuple[str, int]:
        return ("127.0.0.1" if host in self.names else host), port


class _Handler(BaseHTTPRequestHandler):
    server: ForwardProxy
    protocol_version = "HTTP/1.1"

    def _may_pass(self) -> bool:
        self.server.asked.append(f"{self.command} {self.path}")
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if not self.server.login or self.headers.get("Proxy-Authorization") == f"Basic {pair}":
            return True
        self.server.refused += 1
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="company"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self) -> None:
        if not self._may_pass():
            return
        self.close_connection = True
        host, _, port = self.path.rpartition(":")
        with socket.create_connection(self.server.resolve(host.strip("[]"), int(port)), _WAIT_S) as far:
            self.send_response(200)
            self.end_headers()
            near = self.connection
            while True:
                ready, _, _ = select.select([near, far], [], [], _WAIT_S)
                for side in ready:
                    data = side.recv(64 * 1024)
                    if not data:
                        return
                    (far if side is near else near).sendall(data)
                if not ready:
                    return

    def do_GET(self) -> None:
        if not self._may_pass():
            return
        self.close_connection = True
        parts = urlsplit(self.path)
        http = HTTPConnection(*self.server.resolve(parts.hostname or "", parts.port or 80), timeout=_WAIT_S)
        own = {"proxy-authorization", "proxy-connection", "connection"}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in own}
        http.request(self.command, f"{parts.path}?{parts.query}" if parts.query else parts.path, self.body, kept)
        answer = http.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.read())
        http.close()

    do_POST = do_HEAD = do_GET  # noqa: N815 - see above

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


def gateway_of(engine: Engine) -> str:
    """The address of this machine from containers."""
    (config, *_) = engine._api.inspect_network("bridge")["IPAM"]["Config"]
    # Docker 20.10 returns only the subnet.
    return str(config.get("Gateway") or next(ip_network(config["Subnet"]).hosts()))


@contextmanager
def forward_proxy(
    address: str = "127.0.0.1", *, names: tuple[str, ...] = (), login: bool = False
) -> Iterator[ForwardProxy]:
    """A running proxy."""
    with running(ForwardProxy(address, names, login)) as proxy:
        yield proxy
