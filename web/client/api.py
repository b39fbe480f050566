"""Requests to a server's API. What goes wrong becomes a sentence that says what to do."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

import httpx2

from runner.network.egress import EgressSettings, server_egress
from web.client.servers import Server
from workers.errors import StartError
from workers.forges.http import make_client

ANSWER_BYTES_MAX = 64 * 1024 * 1024
LINE_BYTES_MAX = 16 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
_SEND_S = 60.0
"""The server stores a file before it answers."""
_SENTENCE_CHARACTERS_MAX = 2000


class UnreachableError(StartError):
    """No answer came, or the connection ended before all of it was there."""


class UnknownError(StartError):
    """What is asked for is not there, or not for this user."""


Parameters = Mapping[str, str | int | Sequence[str]]


class LogPart(NamedTuple):
    """Bytes of a log from an offset on, up to ``end``. ``complete``: nothing follows what the server has now."""

    data: bytes
    end: int
    size_bytes: int
    complete: bool


class Event(NamedTuple):
    """A server-sent event. ``position`` is its id: of a log's bytes the offset after them."""

    kind: str
    data: str
    position: str


class _Answer(NamedTuple):
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def connected(server: Server) -> Iterator["Api"]:
    """The API of the server. Proxies and HEADWAY_CA_FILE are those of the environment. Raises StartError."""
    with make_client(egress_of_environment()) as client:
        yield Api(client, server)


def egress_of_environment() -> EgressSettings:
    """The proxies and the CA of a command. Raises StartError."""
    ca_file = os.environ.get("HEADWAY_CA_FILE")
    try:
        return server_egress(os.environ, Path(ca_file) if ca_file else None, step_proxy=False)
    except ValueError as error:
        raise StartError(str(error)) from None


class Api:
    """Calls below ``/api``. All raise StartError."""

    def __init__(self, client: httpx2.Client, server: Server) -> None:
        self._client, self._server = client, server

    def get(self, path: str, parameters: Parameters | None = None) -> Any:  # noqa: ANN401 - JSON
        """The answer to GET."""
        return self._json(self._answer("GET", path, parameters).body)

    def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """The answer to POST; None where it has no content."""
        return self._json(self._answer("POST", path, body=body).body)

    def send(self, path: str, asked: Parameters, file: Path) -> Any:  # noqa: ANN401 - JSON
        """The answer to POST with a file as the body."""
        with file.open("rb") as opened, self._sent("POST", path, asked, file=opened) as answer:
            self._check(answer)
            return self._json(self._read(answer))

    def log(self, step: int, offset: int, stream: str = "") -> LogPart:
        """The next part of a step's log; with ``stream`` what of it came from there."""
        asked: dict[str, str | int] = {"offset": offset} | ({"stream": stream} if stream else {})
        answer = self._answer("GET", f"/steps/{step}/log", asked)
        try:
            # A server of before this header knows no streams either, and answers with all of the part.
            end = int(answer.headers["x-log-end"] if stream else offset + len(answer.body))
            size_bytes, complete = int(answer.headers["x-log-size"]), answer.headers["x-log-complete"] == "true"
        except (KeyError, ValueError):
            raise self._foreign("a log without its size") from None
        return LogPart(answer.body, end, size_bytes, complete)

    def events(self, path: str, parameters: Parameters) -> Iterator[Event]:
        """The server-sent events of a stream, until the server ends it."""
        kind, data, position = "", "", ""
        for line in self._lines(path, parameters):
            field, _, value = line.partition(": ")
            match field:
                case "event":
                    kind = value
                case "data":
                    data = value
                case "id":
                    position = value
                case "" if kind:
                    yield Event(kind, data, position)
                    kind, data = "", ""

    def _lines(self, path: str, parameters: Parameters) -> Iterator[str]:
        rest = b""
        for piece in self.pieces(path, parameters):
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > LINE_BYTES_MAX:
                raise self._foreign("its lines have no end")
            yield from (line.decode(errors="replace") for line in lines)

    def pieces(self, path: str, parameters: Parameters | None = None) -> Iterator[bytes]:
        """The answer to GET in pieces, of any size."""
        with self._sent("GET", path, parameters) as answer:
            self._check(answer)
            yield from answer.iter_bytes()

    def _answer(self, method: str, path: str, parameters: Parameters | None = None, body: object = None) -> _Answer:
        with self._sent(method, path, parameters, body) as answer:
            self._check(answer)
            return _Answer(answer.headers, self._read(answer))

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        parameters: Parameters | None = None,
        body: object = None,
        file: BinaryIO | None = None,
    ) -> Iterator[httpx2.Response]:
        headers = {"authorization": f"Bearer {self._server.token}"}
        more: dict[str, Any] = {"json": body}
        if file is not None:
            headers["content-length"] = str(os.fstat(file.fileno()).st_size)
            more = {"content": iter(partial(file.read, _PIECE_BYTES), b""), "timeout": _SEND_S}
        url = f"{self._server.url}/api{path}"
        try:
            with self._client.stream(method, url, params=parameters, headers=headers, **more) as answer:
                yield answer
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            why = str(error) or type(error).__name__
            raise UnreachableError(f"{self._server.url} cannot be reached: {why.rstrip('.')}.") from None

    def _read(self, answer: httpx2.Response) -> bytes:
        """The whole answer, within the limit."""
        pieces, size = [], 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > ANSWER_BYTES_MAX:
                raise StartError(f"{self._server.url} answers with more than {ANSWER_BYTES_MAX:,} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    def _check(self, answer: httpx2.Response) -> None:
        status = answer.status_code
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return
        if status < HTTPStatus.BAD_REQUEST:
            to = answer.headers.get("location", "another address")[:_SENTENCE_CHARACTERS_MAX]
            raise StartError(f"{self._server.url} leads to {to}: name that address with --server.")
        if status == HTTPStatus.REQUEST_TIMEOUT:  # in plain text, by the server below the application
            raise StartError(f"{self._server.url} had not received the whole request in time: send less at once.")
        try:
            sentence = str(json.loads(self._read(answer))["error"])
        except (ValueError, KeyError, TypeError):
            raise self._foreign(f"HTTP {status}") from None
        if status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}:
            raise UnreachableError(sentence[:_SENTENCE_CHARACTERS_MAX])
        if status == HTTPStatus.UNAUTHORIZED:
            raise StartError(f"{self._server.url} does not accept the token. Log in: headway login {self._server.url}")
        kind = UnknownError if status == HTTPStatus.NOT_FOUND else StartError
        raise kind(sentence[:_SENTENCE_CHARACTERS_MAX])

    def _json(self, body: bytes) -> Any:  # noqa: ANN401 - JSON
        try:
            return json.loads(body) if body else None
        except ValueError:
            raise self._foreign("what comes is no JSON") from None

    def _foreign(self, why: str) -> StartError:
        return StartError(f"What answers at {self._server.url} is no Headway server: {why}. Look at the address.")


def repo_path(repo: str) -> str:
    """The beginning of the calls for a repository."""
    return f"/repos/{quote(repo, safe='/')}"


def run_path(repo: str, number: int) -> str:
    """The beginning of the calls for a run."""
    return f"{repo_path(repo)}/runs/{number}"
