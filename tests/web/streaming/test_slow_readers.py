"""A browser that stops reading: it costs the server little memory, and can resume later."""

import base64
import http.client
import resource
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import pytest

from pipelines.state import PASSED
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.web.conftest import ClaimedRun, Site

MIB = 1024**2
PIECES = 1_500
PIECE = 64 * 1024


def piece(number: int) -> bytes:
    return b"%07d\n" % number + b"some text of a step that floods its log".ljust(PIECE - 9, b".") + b"\n"


def flood(begun: ClaimedRun) -> None:
    with begun.recorder() as record:
        record(StepStarted(2))
        for number in range(PIECES):
            record(StepOutput(2, number * PIECE, piece(number), Stream.STDOUT))
        record(StepFinished(2, PASSED))


@contextmanager
def opened(url: str, token: str, step_id: int, after: int = 0) -> Iterator[http.client.HTTPResponse]:
    """A stream after its response headers; nothing more is read until the test reads it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    headers = {"authorization": f"Bearer {token}", "last-event-id": str(after)}
    connection.request("GET", f"/api/steps/{step_id}/stream", headers=headers)
    with closing(connection), connection.getresponse() as answer:
        assert answer.status == 200
        yield answer


def logged(answer: http.client.HTTPResponse) -> Iterator[tuple[int, bytes]]:
    """The pieces of the log, each with the offset after it, until the event ``end``."""
    fields: dict[bytes, bytes] = {}
    for line in answer:
        name, _, value = line.rstrip(b"\n").partition(b": ")
        fields[name] = value
        if not line.rstrip() and fields.get(b"event") == b"log":
            yield int(fields[b"id"]), base64.b64decode(fields[b"data"])
        if fields.get(b"event") == b"end":
            return


@pytest.mark.stress
def test_readers_that_stop_reading_take_little_memory_and_get_every_byte_later(site: Site, live_url: str) -> None:
    site.add_repo()
    begun, token = site.begin(), site.token(site.add_user())
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ExitStack() as open_streams:
        stuck = [open_streams.enter_context(opened(live_url, token, begun.steps[2])) for _ in range(8)]
        flood(begun)
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) * 1024 < 64 * MIB
        assert pieces_in(stuck[0]) == PIECES


def pieces_in(answer: http.client.HTTPResponse) -> int:
    """Checks that a stream brings the flood's pieces complete and in order; how many it brings."""
    rest, found = b"", 0
    for end, data in logged(answer):
        rest += data
        assert end == found * PIECE + len(rest)
        while len(rest) >= PIECE:
            assert rest[:PIECE] == piece(found)
            rest, found = rest[PIECE:], found + 1
    assert rest == b""
    return found


@pytest.mark.slow
def test_a_reader_that_disconnects_resumes_after_the_last_byte_it_got(site: Site, live_url: str) -> None:
    site.add_repo()
    begun, token = site.begin(), site.token(site.add_user())
    flood(begun)
    position = 0
    while position < 10 * PIECE:
        with opened(live_url, token, begun.steps[2], after=position) as answer:
            end, data = next(logged(answer))
        assert end == position + len(data)
        assert b"".join(map(piece, range(position // PIECE, end // PIECE + 1)))[position % PIECE :].startswith(data)
        position = end
