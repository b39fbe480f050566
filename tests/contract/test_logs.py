"""The contract of log stores: one suite over a folder and a bucket."""

import random
import secrets
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from runner.events import Stream
from tests.support.logs import LogsFixture, Place, logs_fixture
from tests.support.services import eventually
from workers.blobs import open_blobs
from workers.db.models import Run
from workers.db.session import transaction
from workers.logs import Chunk, LogReader
from workers.logs.pace import Pace
from workers.settings import Settings

LOG = (7, 70, 1, 1)
MIB = 1024 * 1024


PACE = Pace(flush_after_ms=1000, end_patience_s=1)


@pytest.fixture(params=["folder", "bucket"])
def logs(request: pytest.FixtureRequest, sqlite_database: Engine, tmp_path: Path) -> LogsFixture:
    """A log store over each kind of blob store."""
    url = str(request.getfixturevalue("bucket_url")) if request.param == "bucket" else ""
    return logs_fixture(sqlite_database, tmp_path, open_blobs(Settings(data_dir=tmp_path, blob_url=url)), PACE)


def write(logs: LogsFixture, *pieces: bytes, log: Place = LOG) -> None:
    writer = logs.writer(*log)
    for number, piece in enumerate(pieces):
        writer.append(piece, Stream.STDOUT, number)
    writer.close()


def everything(reader: LogReader) -> bytes:
    parts: list[bytes] = []
    while part := reader.read(sum(map(len, parts)), 10_000_000):
        parts.append(part)
    return b"".join(parts)


def now(reader: LogReader) -> bytes:
    reader.refresh()
    return reader.read(0)


def test_what_was_written_is_read(logs: LogsFixture) -> None:
    write(logs, b"one\ntwo", b"\nthree\n")
    with logs.open(*LOG) as reader:
        assert reader.read(0) == b"one\ntwo\nthree\n"
        assert (reader.size_bytes, reader.lines, reader.complete) == (14, 3, True)


def test_a_log_that_was_never_written_is_empty_and_not_complete(logs: LogsFixture) -> None:
    with logs.open(*LOG) as reader:
        assert (reader.size_bytes, reader.lines, reader.complete) == (0, 0, False)
        assert reader.read(0) == b""
        assert reader.read_lines(1, 10) == (0, b"")
        assert (reader.line_offset(1), reader.line_at(0)) == (0, 1)
        assert reader.chunks(0, 10) == []
        reader.refresh()


def test_an_empty_log_that_was_closed_is_complete(logs: LogsFixture) -> None:
    write(logs)
    with logs.open(*LOG) as reader:
        assert (reader.size_bytes, reader.lines, reader.complete) == (0, 0, True)


def test_logs_of_other_steps_and_attempts_are_other_logs(logs: LogsFixture) -> None:
    places = [(7, 70, 1, 1), (7, 70, 1, 2), (7, 70, 2, 1), (7, 71, 1, 1), (8, 80, 1, 1)]
    for place in places:
        write(logs, repr(place).encode(), log=place)
    for place in places:
        with logs.open(*place) as reader:
            assert reader.read(0) == repr(place).encode()


def test_deleting_a_run_deletes_its_logs_and_no_others(logs: LogsFixture) -> None:
    write(logs, b"seven", log=(7, 1, 1, 1))
    write(logs, b"eight", log=(8, 2, 1, 1))
    logs.delete_run(7)
    logs.delete_run(7)
    with logs.open(7, 1, 1, 1) as gone, logs.open(8, 2, 1, 1) as kept:
        assert gone.size_bytes == 0
        assert kept.read(0) == b"eight"


def test_nothing_is_read_beyond_the_end(logs: LogsFixture) -> None:
    write(logs, b"12345")
    with logs.open(*LOG) as reader:
        assert [reader.read(offset, 3) for offset in (0, 3, 5, 99)] == [b"123", b"45", b"", b""]


def test_an_unfinished_last_line_counts_as_a_line(logs: LogsFixture) -> None:
    write(logs, b"one\ntwo")
    with logs.open(*LOG) as reader:
        assert reader.lines == 2
        assert reader.read_lines(2, 1) == (4, b"two")
        assert reader.line_offset(3) == 7


def test_lines_are_read_by_number_and_not_more_bytes_than_asked_for(logs: LogsFixture) -> None:
    write(logs, b"a\nbb\nccc\ndddd\n")
    with logs.open(*LOG) as reader:
        assert reader.read_lines(2, 2) == (2, b"bb\nccc\n")
        assert reader.read_lines(1, 99) == (0, b"a\nbb\nccc\ndddd\n")
        assert reader.read_lines(4, 1) == (9, b"dddd\n")
        assert reader.read_lines(5, 1) == (14, b"")
        assert reader.read_lines(1, 99, max_bytes=3) == (0, b"a\nb")


def test_a_writer_knows_size_and_lines_before_anything_is_flushed(logs: LogsFixture) -> None:
    writer = logs.writer(*LOG)
    assert (writer.size_bytes, writer.lines) == (0, 0)
    writer.append(b"one\ntw", Stream.STDOUT, 0)
    assert (writer.size_bytes, writer.lines) == (6, 2)
    writer.append(b"o\n", Stream.STDOUT, 0)
    assert (writer.size_bytes, writer.lines) == (8, 2)
    writer.flush()
    assert (writer.size_bytes, writer.lines) == (8, 2)
    writer.close()
    writer.close()


def test_a_reader_sees_what_was_flushed_when_it_refreshes(logs: LogsFixture) -> None:
    writer = logs.writer(*LOG)
    reader = logs.open(*LOG)
    writer.append(b"one\n", Stream.STDOUT, 0)
    reader.refresh()
    assert reader.size_bytes == 0
    writer.flush()
    assert reader.size_bytes == 0
    reader.refresh()
    assert (reader.read(0), reader.complete) == (b"one\n", False)
    writer.append(b"two\n", Stream.STDOUT, 0)
    writer.close()
    reader.refresh()
    assert (reader.read(0), reader.complete) == (b"one\ntwo\n", True)
    reader.close()


def test_output_is_buffered_for_a_second_at_most(logs: LogsFixture) -> None:
    writer = logs.writer(*LOG)
    writer.append(b"one", Stream.STDOUT, 10_000)
    writer.append(b"two", Stream.STDOUT, 10_999)
    writer.flush_older(9_999)
    with logs.open(*LOG) as reader:
        assert reader.size_bytes == 0
    writer.append(b"three", Stream.STDOUT, 11_000)
    with logs.open(*LOG) as reader:
        assert eventually(lambda: now(reader)) == b"onetwothree"
    writer.append(b"four", Stream.STDOUT, 20_000)
    writer.flush_older(20_000)
    with logs.open(*LOG) as reader:
        assert eventually(lambda: now(reader).removeprefix(b"onetwothree")) == b"four"
    writer.close()


def test_the_index_knows_stream_and_time_of_all_bytes(logs: LogsFixture) -> None:
    writer = logs.writer(*LOG)
    writer.append(b"out", Stream.STDOUT, 1_000)
    writer.append(b"out", Stream.STDOUT, 1_050)
    writer.append(b"err", Stream.STDERR, 1_060)
    writer.flush()
    writer.append(b"note", Stream.NOTE, 1_061)
    writer.append(b"later", Stream.NOTE, 5_000)
    writer.close()
    all_of_them = [
        Chunk(0, 1_000, Stream.STDOUT),
        Chunk(6, 1_060, Stream.STDERR),
        Chunk(9, 1_061, Stream.NOTE),
        Chunk(13, 5_000, Stream.NOTE),
    ]
    with logs.open(*LOG) as reader:
        assert reader.chunks(0, 99) == all_of_them
        assert reader.chunks(7, 1) == all_of_them[1:2]
        assert reader.chunks(8, 2) == all_of_them[1:3]
        assert reader.chunks(99, 5) == []


def test_another_writer_continues_a_suspended_log(logs: LogsFixture) -> None:
    first = logs.writer(*LOG)
    first.append(b"one\ntw", Stream.STDOUT, 1)
    first.suspend()
    with logs.open(*LOG) as reader:
        assert (reader.read(0), reader.complete) == (b"one\ntw", False)
    second = logs.writer(*LOG)
    assert (second.size_bytes, second.lines) == (6, 2)
    second.append(b"o\n", Stream.STDERR, 2)
    second.close()
    with logs.open(*LOG) as reader:
        assert (reader.read(0), reader.lines, reader.complete) == (b"one\ntwo\n", 2, True)
        assert [chunk.offset for chunk in reader.chunks(0, 99)] == [0, 6]


def test_a_complete_log_can_be_continued(logs: LogsFixture) -> None:
    write(logs, b"one")
    writer = logs.writer(*LOG)
    with logs.open(*LOG) as reader:
        assert not reader.complete
    writer.append(b"two", Stream.STDOUT, 1)
    writer.close()
    with logs.open(*LOG) as reader:
        assert (reader.read(0), reader.complete) == (b"onetwo", True)


@pytest.mark.stress
def test_a_big_log_is_read_anywhere(logs: LogsFixture) -> None:
    lines = b"".join(b"%07d some ordinary output of a compiler, as long as lines are\n" % n for n in range(1_100_000))
    assert len(lines) > 64 * MIB
    writer = logs.writer(*LOG)
    for start in range(0, len(lines), 60_000):
        writer.append(lines[start : start + 60_000], Stream.STDOUT, start // 60_000)
    writer.close()
    with logs.open(*LOG) as reader:
        assert (reader.size_bytes, reader.lines) == (len(lines), 1_100_000)
        for offset in (0, 1, 262_143, 262_144, 5_000_000, len(lines) - 10):
            assert reader.read(offset, 300_000) == lines[offset : offset + 300_000]
        for line in (1, 2, 4_096, 500_000, 1_099_999):
            assert reader.read_lines(line, 2)[1].startswith(b"%07d " % (line - 1))
        assert everything(reader) == lines


def test_one_append_of_several_megabytes_is_kept_whole(logs: LogsFixture) -> None:
    data = random.Random(1).randbytes(3 * MIB)
    write(logs, data)
    with logs.open(*LOG) as reader:
        assert everything(reader) == data
        assert reader.lines == data.count(b"\n") + (not data.endswith(b"\n"))


def test_reading_while_writing_never_shows_a_wrong_byte_and_loses_none(logs: LogsFixture) -> None:
    data = random.Random(2).randbytes(2 * MIB)
    writer = logs.writer(*LOG)

    def write_all() -> None:
        at, number = 0, 0
        while at < len(data):
            number += 1
            length = 1 + number * 7_919 % 40_000
            writer.append(data[at : at + length], Stream.STDOUT, number)
            if number % 7 == 0:
                writer.flush()
            at += length
        writer.close()

    thread = threading.Thread(target=write_all)
    thread.start()
    seen = b""
    with logs.open(*LOG) as reader:

        def complete() -> bool:
            nonlocal seen
            reader.refresh()
            done = reader.complete
            while part := reader.read(len(seen), 50_000):
                seen += part
                assert data.startswith(seen)
            return done

        eventually(complete, within_s=60)
    thread.join()
    assert seen == data


def test_several_threads_may_append(logs: LogsFixture) -> None:
    writer = logs.writer(*LOG)

    def append(letter: bytes) -> None:
        for number in range(300):
            writer.append(letter * 999 + b"\n", Stream.STDOUT, number)

    threads = [threading.Thread(target=append, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    with logs.open(*LOG) as reader:
        lines = everything(reader).splitlines()
    assert sorted(lines) == sorted([letter * 999 for letter in (b"a", b"b", b"c")] * 300)


Slices = st.lists(st.tuples(st.integers(0, 700_000), st.integers(0, 300_000)), max_size=8)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.builds(lambda line, times: line * times, st.binary(min_size=1, max_size=30), st.integers(1, 20_000)),
        ),
        max_size=8,
    ),
    flushes=st.sets(st.integers(0, 8)),
    reopened=st.sets(st.integers(0, 8)),
    slices=Slices,
    lines=st.lists(st.integers(1, 50_000), max_size=8),
)
def test_any_output_is_read_back_by_bytes_and_by_lines(
    sqlite_database: Engine,
    tmp_path: Path,
    pieces: list[bytes],
    flushes: set[int],
    reopened: set[int],
    slices: list[tuple[int, int]],
    lines: list[int],
) -> None:
    logs = logs_fixture(sqlite_database, tmp_path)
    place = (7, secrets.randbelow(2**40), 1, 1)
    writer = logs.writer(*place)
    for number, piece in enumerate(pieces):
        writer.append(piece, Stream.STDOUT, number * 10)
        if number in flushes:
            writer.flush()
        if number in reopened:
            writer.suspend()
            writer = logs.writer(*place)
    writer.close()
    data = b"".join(pieces)
    with logs.open(*place) as reader:
        assert (reader.size_bytes, reader.lines) == (len(data), len(split_lines(data)))
        assert everything(reader) == data
        for offset, length in slices:
            assert reader.read(offset, length) == data[offset : offset + length]
            assert reader.line_at(offset) == data.count(b"\n", 0, offset) + 1
        kept = split_lines(data)
        for line in lines:
            start, found = reader.read_lines(line, 3, max_bytes=len(data) + 1)
            assert found == b"".join(kept[line - 1 : line + 2])
            assert start == sum(map(len, kept[: line - 1]))


def split_lines(data: bytes) -> list[bytes]:
    """Lines end at newlines and nowhere else: not at carriage returns, nor at what Python takes for a line's end."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def test_both_databases_keep_the_index_merge_and_delete(database: Engine, tmp_path: Path) -> None:
    pace = Pace(flush_after_ms=1000, end_patience_s=1, merge_count=3)
    logs = logs_fixture(database, tmp_path, pace=pace)
    writer = logs.writer(*LOG)
    for number in range(7):
        writer.append(b"%d\n" % number, Stream.STDERR, number)
        writer.flush()
    writer.suspend()
    writer = logs.writer(*LOG)
    writer.append(b"end", Stream.STDOUT, 9)
    writer.close()
    with logs.open(*LOG) as reader:
        assert (reader.read(0), reader.lines, reader.complete) == (b"0\n1\n2\n3\n4\n5\n6\nend", 8, True)
        assert [chunk.stream for chunk in reader.chunks(12, 99)] == [Stream.STDERR, Stream.STDOUT]
    with transaction(database) as session:
        session.delete(session.get_one(Run, 7))
    logs.delete_marked()
    assert list(logs.blobs.names("logs")) == []
