"""Parts of a log by the stream that they came from."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from runner.events import Stream
from tests.support.logs import logs_fixture
from web.operations.runs.log_parts import StepLogAddress, part_by_bytes
from web.operations.runs.log_streams import part_from, pieces_from
from workers.logs import LogStore
from workers.logs.interface import CHUNKS_MAX

OUT, ERR, NOTE = Stream.STDOUT, Stream.STDERR, Stream.NOTE
WRITTEN = [
    (OUT, b"one\n"),
    (ERR, b"half "),
    (OUT, b"two\n"),
    (ERR, b"\xff a line\n"),
    (NOTE, b"headway: x\n"),
    (ERR, b"end"),
]
ADDRESS: StepLogAddress = (1, 1, 1, 1)
Write = Callable[..., LogStore]


@pytest.fixture
def write(sqlite_database: Engine, tmp_path: Path) -> Write:
    """Writes a log of these chunks; with ``flushed`` each in a segment of its own."""
    logs = logs_fixture(sqlite_database, tmp_path)

    def write(chunks: list[tuple[Stream, bytes]], *, flushed: bool = False) -> LogStore:
        writer = logs.writer(*ADDRESS)
        for stream, data in chunks:
            writer.append(data, stream, 1_000)
            if flushed:
                writer.flush()
        writer.close()
        return logs.store

    return write


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("stream", Stream)
def test_a_stream_is_what_the_step_wrote_to_it(write: Write, stream: Stream, flushed: bool) -> None:
    logs = write(WRITTEN, flushed=flushed)
    expected = b"".join(data for each, data in WRITTEN if each is stream)
    assert b"".join(pieces_from(logs, ADDRESS, stream)) == expected


@pytest.mark.parametrize("max_bytes", [1, 3, 7, 1000])
def test_parts_of_any_size_make_the_same(write: Write, max_bytes: int) -> None:
    logs, offset, found = write(WRITTEN), 0, b""
    while (part := part_by_bytes(logs, ADDRESS, offset, max_bytes)).data:
        filtered = part_from(logs, ADDRESS, ERR, part)
        assert (filtered.offset, filtered.size_bytes) == (offset, part.size_bytes)
        found += filtered.data
        offset += len(part.data)
    assert found == b"half \xff a line\nend"


def test_a_stream_without_output_and_a_log_without_any_are_empty(write: Write) -> None:
    logs = write([(OUT, b"one\n")])
    assert list(pieces_from(logs, ADDRESS, ERR)) == []
    assert list(pieces_from(logs, (1, 1, 2, 1), ERR)) == []


@pytest.mark.parametrize("count", [CHUNKS_MAX, CHUNKS_MAX + 1])
def test_more_changes_than_are_listed_at_once(write: Write, count: int) -> None:
    chunks = [(ERR if number % 2 else OUT, b"%d\n" % number) for number in range(count)]
    expected = b"".join(data for stream, data in chunks if stream is ERR)
    assert b"".join(pieces_from(write(chunks), ADDRESS, ERR)) == expected
