"""Parts of stored logs over the API: the last lines, where the bytes came from, and search."""

import secrets
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from starlette.testclient import TestClient

from pipelines.state import PASSED
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.support.logs import logs_fixture
from tests.web.conftest import REPO, ClaimedRun, Site
from web.operations.runs.log_parts import PART_BYTES_MAX
from web.operations.runs.log_search import Wanted, search

MIB = 1024**2


@pytest.fixture
def begun(site: Site) -> ClaimedRun:
    site.add_repo()
    return site.begin()


def write(begun: ClaimedRun, *pieces: tuple[Stream, bytes]) -> str:
    """Writes the log of a step; returns its path in the API."""
    offset = 0
    with begun.recorder() as record:
        record(StepStarted(2))
        for stream, data in pieces:
            record(StepOutput(2, offset, data, stream))
            offset += len(data)
        record(StepFinished(2, PASSED))
    return f"/api/steps/{begun.steps[2]}/log"


def tail(program: TestClient, path: str, last: int = 2000) -> tuple[bytes, int, int]:
    answer = program.get(path, params={"last": last})
    return answer.content, int(answer.headers["x-log-offset"]), int(answer.headers["x-log-line"])


@pytest.mark.slow
def test_the_last_lines_are_whole_lines_up_to_the_size_limit(begun: ClaimedRun, program: TestClient) -> None:
    lines = [b"%04d " % number + b"x" * 100_000 + b"\n" for number in range(100)]
    data, offset, line = tail(program, write(begun, (Stream.STDOUT, b"".join(lines))))
    assert data == b"".join(lines[line - 1 :])
    assert 3 * MIB < len(data) <= PART_BYTES_MAX
    assert offset == sum(map(len, lines[: line - 1]))


@pytest.mark.slow
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_of_a_line_larger_than_the_limit_the_end_is_returned(
    begun: ClaimedRun, program: TestClient, end: bytes
) -> None:
    whole = b"first\n" + b"".join(b"\r%06d of many" % number for number in range(500_000)) + end
    data, offset, line = tail(program, write(begun, (Stream.STDOUT, whole)))
    assert data == whole[-PART_BYTES_MAX:]
    assert (offset, line) == (len(whole) - PART_BYTES_MAX, 2)


def test_a_short_log_is_returned_from_its_beginning(begun: ClaimedRun, program: TestClient) -> None:
    path = write(begun, (Stream.STDOUT, b"one\ntwo\nhalf"))
    assert tail(program, path) == (b"one\ntwo\nhalf", 0, 1)
    assert tail(program, path, last=1) == (b"half", 8, 3)
    assert program.get(path, params={"offset": 5}).headers["x-log-line"] == "2"


def test_the_sources_say_when_and_from_which_stream_bytes_came(begun: ClaimedRun, program: TestClient) -> None:
    path = write(begun, (Stream.STDOUT, b"out\n"), (Stream.STDERR, b"err\n"), (Stream.NOTE, b"headway: note\n"))
    at_ms = 1_793_358_142_000
    whole = program.get(f"{path}/sources").json()
    assert whole == {
        "end": 22,
        "sources": [
            {"offset": 0, "at_ms": at_ms, "stream": "stdout"},
            {"offset": 4, "at_ms": at_ms, "stream": "stderr"},
            {"offset": 8, "at_ms": at_ms, "stream": "note"},
        ],
    }
    part = program.get(f"{path}/sources", params={"offset": 5, "max_bytes": 2}).json()
    assert part == {"end": 7, "sources": whole["sources"][1:2]}
    assert program.get(f"{path}/sources", params={"offset": 99}).json() == {"end": 22, "sources": []}


@pytest.mark.stress
def test_many_sources_are_returned_in_parts(begun: ClaimedRun, program: TestClient) -> None:
    pieces = [(Stream.STDERR if number % 2 else Stream.STDOUT, b"%d\n" % (number % 10)) for number in range(45_000)]
    path, end = f"{write(begun, *pieces)}/sources", 0
    found: dict[int, str] = {}
    while end < 90_000:
        answer = program.get(path, params={"offset": end}).json()
        found |= {source["offset"]: source["stream"] for source in answer["sources"]}
        assert answer["end"] > end
        end = answer["end"]
    assert found == {2 * number: pieces[number][0] for number in range(45_000)}


TEXTS = st.lists(st.sampled_from(["error", "Err", "OR", "e", "ü", "\n", " "]), max_size=40).map("".join)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(log=TEXTS, wanted=st.sampled_from(["error", "err", "R", "Ü", "or e", "ee"]), piece_bytes=st.integers(1, 12))
def test_search_finds_every_line_that_contains_the_text(
    sqlite_database: Engine, tmp_path: Path, log: str, wanted: str, piece_bytes: int
) -> None:
    logs, address = logs_fixture(sqlite_database, tmp_path), (1, secrets.randbelow(2**40), 1, 1)
    writer = logs.writer(*address)
    writer.append(log.encode(), Stream.STDOUT, 0)
    writer.close()
    found = search(logs.store, address, Wanted(wanted), piece_bytes=piece_bytes)
    lines = enumerate(log.encode().lower().split(b"\n"), 1)
    assert found.lines == [number for number, line in lines if wanted.encode().lower() in line]
    assert not found.more


@pytest.mark.slow
def test_search_stops_at_the_end_or_at_the_limit_of_results(begun: ClaimedRun, program: TestClient) -> None:
    lines = b"".join(b"%d: nothing here\n" % number for number in range(1, 200_001))
    path = f"{write(begun, (Stream.STDOUT, lines + b'the NEEDLE'))}/search"
    assert program.get(path, params={"text": "needle"}).json() == {
        "lines": [200_001],
        "more": False,
        "searched_lines": 200_001,
    }
    many = program.get(path, params={"text": "nothing"}).json()
    assert many == {"lines": list(range(1, 20_001)), "more": True, "searched_lines": 20_000}
    assert program.get(path, params={"text": ""}).status_code == 422


def test_the_sources_of_a_missing_step_are_answered_404(program: TestClient) -> None:
    answer = program.get("/api/steps/99/log/sources")
    assert (answer.status_code, answer.json()) == (404, {"error": "There is no step 99 here."})


@pytest.mark.slow
def test_a_damaged_log_is_reported(begun: ClaimedRun, site: Site, program: TestClient) -> None:
    path = write(begun, (Stream.STDOUT, b"some output\n"))
    blobs = site.services.settings.blobs_dir
    assert blobs is not None
    (stored,) = blobs.rglob("*.zst")
    stored.write_bytes(bytes(stored.stat().st_size))
    stored = stored.relative_to(blobs)
    answer = program.get(path, params={"last": 10})
    assert answer.status_code == 500
    assert answer.json()["error"].startswith(f"The stored log {stored} is damaged from byte 0 on")
    page = program.get(f"/repos/{REPO}/runs/1", params={"step": begun.steps[2]})
    assert page.status_code == 200
    assert f"The stored log {stored} is damaged" in page.text
