"""A fake Docker Engine on a Unix socket, with the answers of engines that this machine does not have."""

import json
import socketserver
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.support.background_server import running

DOCKER = {
    "Platform": {"Name": "Docker Engine - Community"},
    "Components": [{"Name": "Engine", "Version": "28.5.2", "Details": {"ApiVersion": "1.51"}}],
    "Version": "28.5.2", "ApiVersion": "1.51", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64",
}  # fmt: skip
# The recorded answer of Podman 4.3.1 in Debian 12 (podman system service).
PODMAN = (
    r'{"Platform":{"Name":"linux/amd64/debian-12"},"Components":[{"Name":"Podman Engine","Version":"4.3.1","Details":{'
    r'"APIVersion":"4.3.1","Arch":"amd64","BuildTime":"1970-01-01T00:00:00Z","Experimental":"false","GitCommit":"",'
    r'"GoVersion":"go1.19.8","KernelVersion":"6.1.0","MinAPIVersion":"4.0.0","Os":"linux"}},{"Name":"Conmon",'
    r'"Version":"conmon version 2.1.6, commit: unknown","Details":{"Package":"Unknown"}},{"Name":'
    r'"OCI Runtime (/usr/sbin/runc)","Version":"runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev\n'
    r'go: go1.19.8\nlibseccomp: 2.5.4","Details":{"Package":"runc_1.1.5+ds1-1+deb12u1_amd64"}}],"Version":"4.3.1",'
    r'"ApiVersion":"1.41","MinAPIVersion":"1.24","GitCommit":"","GoVersion":"go1.19.8","Os":"linux","Arch":"amd64",'
    r'"KernelVersion":"6.1.0","BuildTime":"1970-01-01T00:00:00Z"}'
)
Bodies = Mapping[str, tuple[int, str]]


class FakeEngine(socketserver.ThreadingUnixStreamServer):
    """Answers requests by the end of their path, all others with 404. ``asked`` are the paths requested so far.

    ``next_answers`` come first, each once.
    """

    daemon_threads = True

    def __init__(self, path: Path, bodies: Bodies) -> None:
        super().__init__(str(path), _Handler)
        self.host = f"unix://{path}"
        self.bodies = bodies
        self.asked: list[str] = []
        self.next_answers: list[tuple[int, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: FakeEngine
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        ends = (body for end, body in self.server.bodies.items() if path.endswith(end))
        status, text = next(ends, (404, '{"message": "page not found"}'))
        if self.server.next_answers and not path.endswith("/version"):
            status, text = self.server.next_answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET  # noqa: N815 - the name is the standard library's

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def fake_engine(folder: Path, version: str | Mapping[str, object] = "", **bodies: str) -> Iterator[FakeEngine]:
    """A running engine that answers ``/version`` with ``version``, and paths that end with a key of ``bodies``
    with its value.
    """
    text = version if isinstance(version, str) else json.dumps(version)
    known = {"/version": (200, text)} | {f"/{end}": (200, body) for end, body in bodies.items()}
    with running(FakeEngine(folder / "answers.sock", known)) as server:
        yield server
