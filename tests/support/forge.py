"""A fake forge: a real HTTP server with the commit status API of each forge, and its rules."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any

TOKEN = "tok-5f2c9b"
SHA = r"[0-9a-f]{40}"
FOUR_WORDS = {"pending", "success", "failure", "error"}


@dataclass(frozen=True)
class Rules:
    """What a forge requires, written a second time from its manual."""

    path: str
    token: Mapping[str, str]
    states: set[str]
    name: str
    url: str
    name_chars_max: int = 255
    description_chars_max: int = 255


RULES = {
    "github": Rules(
        rf"/api/v3/repos/acme/roof/statuses/({SHA})",
        {"authorization": f"Bearer {TOKEN}", "accept": "application/vnd.github+json"},
        FOUR_WORDS,
        "context",
        "target_url",
        description_chars_max=140,
    ),
    "gitea": Rules(
        rf"/api/v1/repos/acme/roof/statuses/({SHA})",
        {"authorization": f"token {TOKEN}"},
        FOUR_WORDS | {"warning"},
        "context",
        "target_url",
    ),
    "gitlab": Rules(
        rf"/api/v4/projects/acme%2Froof/statuses/({SHA})",
        {"private-token": TOKEN},
        {"pending", "running", "success", "failed", "canceled", "skipped"},
        "name",
        "target_url",
    ),
    "bitbucket": Rules(
        rf"/2\.0/repositories/acme/roof/commit/({SHA})/statuses/build",
        {"authorization": f"Bearer {TOKEN}"},
        {"SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"},
        "key",
        "url",
        name_chars_max=40,
    ),
}


@dataclass(frozen=True)
class Told:
    """A status that the forge accepted."""

    sha: str
    name: str
    state: str
    description: str
    url: str
    body: Mapping[str, Any]


@dataclass
class FakeForge:
    """What the server accepted. ``instead`` are other answers that it gives first: status, headers, body."""

    rules: Rules
    url: str
    told: list[Told] = field(default_factory=list)
    asked: int = 0
    instead: list[tuple[int, dict[str, str], str] | None] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)

    def fail(
        self, status: int, said: str = "", times: int = 1, after: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        """Refuses the next requests, after ``after`` others."""
        named = dict(headers or {})
        self.instead += [None] * after
        self.instead += [(status, named, json.dumps({"message": said}))] * times

    def words(self) -> list[tuple[str, str]]:
        """The names and states that it accepted."""
        return [(told.name, told.state) for told in self.told]

    def answer(self, path: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, dict[str, str], str]:
        refusal = self.instead.pop(0) if self.instead else None
        if refusal:
            return refusal
        rules, body = self.rules, json.loads(raw)
        found = re.fullmatch(rules.path, path)
        if any(headers.get(name) != value for name, value in rules.token.items()):
            return 401, {}, '{"message": "Bad credentials"}'
        if found is None:
            return 404, {}, '{"message": "Not Found"}'
        told = Told(found[1], body[rules.name], body["state"], body["description"], body[rules.url], body)
        fits = len(told.name) <= rules.name_chars_max and len(told.description) <= rules.description_chars_max
        if told.state not in rules.states or not fits or "\n" in told.description:
            return 422, {}, json.dumps({"message": f"Validation Failed: {body}"})
        self.told.append(told)
        return 201, {}, "{}"


@contextmanager
def forge_server(forge: str, tls: SSLContext | None = None) -> Iterator[FakeForge]:
    """A forge on a free port, over TLS with ``tls``."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust the certificate closes the connection
    fake = FakeForge(RULES[forge], f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}")
    handler.fake = fake  # type: ignore[attr-defined]  # the class is this server's own
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        fake.hang.clear()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeForge

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        self.fake.asked += 1
        while self.fake.hang.is_set():
            time.sleep(0.02)
        status, headers, text = self.fake.answer(self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    log_message: Callable[..., None] = lambda *_: None
