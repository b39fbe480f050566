"""Which lines came from a stream: whole lines, parts of lines, and where the search ends."""

import random
from itertools import chain, repeat
from pathlib import Path

import pytest
from sqlalchemy import Engine

from runner.events import Stream
from tests.support.logs import logs_fixture
from web.operations.runs.log_parts import StepLogAddress
from web.operations.runs.log_stream_lines import LOOK_S_MAX, RANGES_MAX, lines_from
from workers.logs import LogStore

OUT, ERR = Stream.STDOUT, Stream.STDERR
ADDRESS: StepLogAddress = (1, 1, 1, 1)
Chunks = list[tuple[Stream, bytes]]


def written(database: Engine, folder: Path, chunks: Chunks) -> LogStore:
    logs = logs_fixture(database, folder)
    writer = logs.writer(*ADDRESS)
    for stream, data in chunks:
        writer.append(data, stream, 1_000)
    writer.close()
    return logs.store


@pytest.mark.parametrize(
    ("chunks", "ranges"),
    [
        ([], []),
        ([(OUT, b"a\nb\n")], []),
        ([(ERR, b"a\nb\n")], [(1, 2)]),
        ([(OUT, b"a\n"), (ERR, b"b\nc"), (OUT, b"d\ne\n"), (ERR, b"f")], [(2, 3), (5, 5)]),
        ([(ERR, b"a"), (OUT, b"b\n"), (ERR, b"c\n"), (OUT, b"\n\n"), (ERR, b"\n")], [(1, 2), (5, 5)]),
    ],
)
def test_lines_that_came_from_a_stream_in_part_count(
    sqlite_database: Engine, tmp_path: Path, chunks: Chunks, ranges: list[tuple[int, int]]
) -> None:
    found = lines_from(written(sqlite_database, tmp_path, chunks), ADDRESS, ERR)
    lines = b"".join(data for _, data in chunks)
    count = lines.count(b"\n") + (not lines.endswith(b"\n") and bool(lines))
    assert (found.ranges, found.more, found.searched_lines) == (ranges, False, count)


def test_lines_are_the_same_as_if_each_byte_were_looked_at(sqlite_database: Engine, tmp_path: Path) -> None:
    """Also where a line reaches from one part that is read into the next."""
    dice = random.Random(5)
    chunks = [(dice.choice(list(Stream)), dice.choice((b"\n", b"x", b"word\n", b"long " * 9_000))) for _ in range(300)]
    line, expected = 1, set[int]()
    for stream, data in chunks:
        for byte in data:
            if stream is ERR:
                expected.add(line)
            line += byte == ord("\n")
    found = lines_from(written(sqlite_database, tmp_path, chunks), ADDRESS, ERR)
    assert {line for first, last in found.ranges for line in range(first, last + 1)} == expected


@pytest.mark.parametrize(("count", "more"), [(RANGES_MAX, False), (RANGES_MAX + 1, True)])
def test_so_many_ranges_are_found(sqlite_database: Engine, tmp_path: Path, count: int, more: bool) -> None:
    chunks = [(stream, b"x\n") for _ in range(count) for stream in (ERR, OUT)]
    found = lines_from(written(sqlite_database, tmp_path, chunks), ADDRESS, ERR)
    assert (len(found.ranges), found.more, found.searched_lines) == (RANGES_MAX, more, 2 * RANGES_MAX)


def test_a_log_is_looked_at_for_so_long(sqlite_database: Engine, tmp_path: Path) -> None:
    logs = written(sqlite_database, tmp_path, [(ERR, b"x\n" * 600_000), (OUT, b"y\n" * 600_000)])
    times = chain((0.0, LOOK_S_MAX), repeat(LOOK_S_MAX + 0.1))
    found = lines_from(logs, ADDRESS, ERR, lambda: next(times))
    assert (found.ranges, found.more, found.searched_lines) == ([(1, 524_288)], True, 524_288)
