"""What a server's answers become for the user of a command, from a server that answers as a test wants."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.background_server import running
from web.client.api import Api, UnknownError, UnreachableError, connected
from web.client.servers import Server
from workers.errors import StartError


@contextmanager
def answering(status: int, body: bytes) -> Iterator[Api]:
    """A server that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with (
        running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as httpd,
        connected(Server(f"http://127.0.0.1:{httpd.server_port}", "token")) as api,
    ):
        yield api


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (408, b"The body did not arrive within 60 seconds.\n", StartError, "the whole request in time: send less"),
        (404, b'{"error": "There is no repository named a/b here."}', UnknownError, "no repository named a/b here."),
        (409, b'{"error": "It has ended."}', StartError, "It has ended."),
        (503, b'{"error": "Redis is away."}', UnreachableError, "Redis is away."),
        (404, b"<html>nothing here</html>", StartError, "is no Headway server: HTTP 404"),
    ],
)
def test_a_refused_file_has_a_sentence(
    tmp_path: Path, status: int, body: bytes, kind: type[StartError], sentence: str
) -> None:
    file = tmp_path / "pack"
    file.write_bytes(b"PACK")
    with answering(status, body) as api, pytest.raises(kind, match=sentence) as refused:
        api.send("/repos/a/b/runs/sent", {}, file)
    assert type(refused.value) is kind
