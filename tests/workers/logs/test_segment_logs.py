"""Logs in the blob store: what is kept where, merging, deleting, a store that is away, and workers that die."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, update

from pipelines.state import State
from runner.events import Stream
from tests.support.logs import LogsFixture, Place, logs_fixture
from tests.support.object_store import Door
from tests.support.services import eventually, need
from workers import store
from workers.blobs import BlobsAwayError, BlobsRefusedError, LocalBlobs, StoredBlob, open_blobs
from workers.db.models import Job, LogSegment, Run, StoredLog
from workers.db.session import reading, transaction
from workers.logs import LogDamagedError, segment_logs
from workers.logs.pace import BUCKET_PACE, FOLDER_PACE, Pace
from workers.settings import Settings

LOG = (7, 70, 1, 1)
LINES = [b"line %06d of quite ordinary output\n" % number for number in range(30_000)]
DATA = b"".join(LINES)
QUICK = Pace(flush_after_ms=1000, end_patience_s=0.2)


@dataclass
class CountingBlobs(LocalBlobs):
    """A folder that counts what is read, and refuses while ``failure`` is set."""

    root: Path
    reads: list[tuple[str, int, int]] = field(default_factory=list)
    failure: Exception | None = None

    def __post_init__(self) -> None:
        super().__init__(self.root)

    def put(self, name: str, data: object, *, durable: bool = True) -> StoredBlob:
        if self.failure is not None:
            raise self.failure
        return super().put(name, data, durable=durable)  # type: ignore[arg-type]

    def read(self, name: str, offset: int, length: int) -> bytes:
        self.reads.append((name, offset, length))
        return super().read(name, offset, length)


@pytest.fixture
def blobs(tmp_path: Path) -> CountingBlobs:
    return CountingBlobs(tmp_path / "blobs")


@pytest.fixture
def logs(sqlite_database: Engine, tmp_path: Path, blobs: CountingBlobs) -> LogsFixture:
    return logs_fixture(sqlite_database, tmp_path, blobs, QUICK)


def write(logs: LogsFixture, data: bytes = DATA, place: Place = LOG) -> None:
    writer = logs.writer(*place)
    writer.append(data, Stream.STDOUT, 0)
    writer.close()


def whole(logs: LogsFixture, place: Place = LOG) -> bytes:
    with logs.open(*place) as reader:
        return reader.read(0, 10**9)


def files(logs: LogsFixture) -> list[str]:
    return sorted(logs.blobs.names("logs"))


def live_segments(logs: LogsFixture) -> int:
    with reading(logs.database) as session:
        return session.scalar(select(func.count()).where(LogSegment.replaced_ms.is_(None))) or 0


def test_a_log_can_be_read_with_zstdcat(logs: LogsFixture, tmp_path: Path) -> None:
    write(logs)
    (name,) = files(logs)
    shown = subprocess.run(
        [need(shutil.which("zstdcat"), "zstd"), tmp_path / "blobs" / name], capture_output=True, check=True
    )
    assert shown.stdout == DATA


def test_the_names_of_blobs_are_random(logs: LogsFixture) -> None:
    write(logs, b"x")
    write(logs, b"x", (7, 70, 2, 1))
    one, two = (name.split("/") for name in files(logs))
    assert (one[0], one[1], len(one[2])) == ("logs", one[2][:2], 32)
    assert one[2] != two[2]


def test_a_line_costs_one_small_read(logs: LogsFixture, blobs: CountingBlobs) -> None:
    write(logs)
    fresh = logs_fixture(logs.database, blobs.root.parent, blobs)
    blobs.reads.clear()
    with fresh.open(*LOG) as reader:
        assert reader.read_lines(15_000, 1)[1] == LINES[14_999]
    (_, offset, length), = blobs.reads  # fmt: skip
    assert offset > 0
    assert length < (blobs.root / files(logs)[0]).stat().st_size / 3


def test_what_is_read_from_end_to_end_is_fetched_in_large_pieces(logs: LogsFixture, blobs: CountingBlobs) -> None:
    write(logs)
    fresh = logs_fixture(logs.database, blobs.root.parent, blobs)
    blobs.reads.clear()
    with fresh.open(*LOG) as reader:
        found = [reader.read(offset, 64 * 1024) for offset in range(0, len(DATA), 64 * 1024)]
    assert b"".join(found) == DATA
    assert len(blobs.reads) == 2


@pytest.mark.parametrize(("lines", "left"), [(3, 3), (4, 1), (5, 2), (15, 6), (16, 1)])
def test_small_segments_are_merged_level_by_level(
    sqlite_database: Engine, tmp_path: Path, lines: int, left: int
) -> None:
    logs = logs_fixture(sqlite_database, tmp_path, pace=Pace(flush_after_ms=1000, end_patience_s=0, merge_count=4))
    writer = logs.writer(*LOG)
    reader = logs.open(*LOG)
    for number in range(lines):
        writer.append(b"%d\n" % number, (Stream.STDOUT, Stream.STDERR)[number % 2], number * 1000)
        writer.flush()
        reader.refresh()
        assert reader.lines == number + 1
    assert live_segments(logs) == left
    assert reader.read(0) == b"".join(b"%d\n" % number for number in range(lines))
    assert [chunk.at_ms for chunk in reader.chunks(0, 10**6)] == [number * 1000 for number in range(lines)]
    assert [reader.line_at(reader.line_offset(line)) for line in range(1, lines + 1)] == list(range(1, lines + 1))
    writer.close()
    assert live_segments(logs) == (1 if left > 3 else left)


def test_segments_too_large_together_are_not_merged(sqlite_database: Engine, tmp_path: Path) -> None:
    pace = Pace(flush_after_ms=1000, end_patience_s=0, merge_count=2, merged_bytes_max=10)
    logs = logs_fixture(sqlite_database, tmp_path, pace=pace)
    writer = logs.writer(*LOG)
    for data in (b"12345", b"67890", b"123456"):
        writer.append(data, Stream.STDOUT, 0)
        writer.flush()
    assert live_segments(logs) == 2
    writer.close()
    assert whole(logs) == b"1234567890123456"


def test_merged_blobs_stay_for_readers_and_are_deleted_later(logs: LogsFixture) -> None:
    writer = logs.writer(*LOG)
    for number in range(15):
        writer.append(b"%d\n" % number, Stream.STDOUT, number)
        writer.flush()
    with logs.open(*LOG) as reader:
        writer.append(b"15\n", Stream.STDOUT, 15)
        writer.flush()
        assert logs.delete_marked() == 0
        assert len(files(logs)) == 17
        assert reader.read(0, 4) == b"0\n1\n"
        with transaction(logs.database) as session:
            replaced = update(LogSegment).where(LogSegment.replaced_ms.is_not(None))
            session.execute(replaced.values(replaced_ms=LogSegment.replaced_ms - 60_001))
        assert logs.delete_marked() == 16
        assert len(files(logs)) == 1
        # It knows only the blobs that are gone.
        assert reader.read(0, 10**6) == b"".join(b"%d\n" % number for number in range(16))
    writer.close()


def test_a_blob_that_is_lost_is_said(logs: LogsFixture) -> None:
    write(logs)
    logs.blobs.delete(files(logs))
    with pytest.raises(LogDamagedError, match=r"A part of this log is lost: The blob logs/\S+ is not in"):
        whole(logs)


def test_a_corrupt_frame_is_reported_and_the_others_are_still_read(logs: LogsFixture, tmp_path: Path) -> None:
    write(logs)
    path = tmp_path / "blobs" / files(logs)[0]
    rotten = bytearray(path.read_bytes())
    rotten[len(rotten) // 2] ^= 0xFF
    path.write_bytes(rotten)
    with logs.open(*LOG) as reader:
        assert reader.read(0, 1000) == DATA[:1000]
        assert reader.read(len(DATA) - 1000) == DATA[-1000:]
        with pytest.raises(LogDamagedError, match=r"\.zst is damaged from byte \d+ on: output bytes"):
            reader.read(0, 10**8)


def test_logs_of_a_removed_run_are_deleted_with_what_no_row_names(logs: LogsFixture) -> None:
    write(logs, b"seven")
    write(logs, b"eight", (8, 80, 1, 1))
    kept = next(name for name in files(logs) if b"eight" in blob_text(logs, name))
    (gone,) = [name for name in files(logs) if name != kept]
    logs.blobs.put(f"{gone.rpartition('/')[0]}/99-died-before-its-row", b"x")
    with transaction(logs.database) as session:
        session.delete(session.get_one(Run, 7))
    assert logs.delete_marked() == 1
    assert files(logs) == [kept]
    with reading(logs.database) as session:
        assert session.scalar(select(func.count()).select_from(StoredLog)) == 1
        assert session.scalar(select(func.count()).select_from(LogSegment)) == 1


def blob_text(logs: LogsFixture, name: str) -> bytes:
    return b"".join(logs.blobs.get(name))


def test_a_crash_between_blobs_and_rows_is_finished_by_the_next_call(logs: LogsFixture) -> None:
    write(logs, b"seven")
    with transaction(logs.database) as session:
        session.delete(session.get_one(Run, 7))
    logs.blobs.delete(files(logs))
    assert logs.delete_marked() == 1
    assert logs.delete_marked() == 0


def test_output_of_a_store_that_is_away_waits_and_is_stored_later(
    sqlite_database: Engine, tmp_path: Path, blobs: CountingBlobs
) -> None:
    pace = Pace(flush_after_ms=1000, end_patience_s=10, segment_bytes_max=50_000, waiting_bytes_max=5_000)
    logs = logs_fixture(sqlite_database, tmp_path, blobs, pace)
    blobs.failure = BlobsAwayError("away")
    writer = logs.writer(*LOG)
    for start in range(0, len(LINES), 100):
        writer.append(b"".join(LINES[start : start + 100]), Stream.STDOUT, start)
    assert files(logs) == []
    assert list((tmp_path / "spool").iterdir()) == []
    blobs.failure = None
    with logs.open(*LOG) as reader:

        def stored() -> bool:
            reader.refresh()
            return reader.size_bytes > len(DATA) - 100_000

        eventually(stored, within_s=20)
    writer.close()
    assert whole(logs) == DATA


@pytest.mark.parametrize("failure", [BlobsAwayError("away"), BlobsRefusedError("no bucket")])
def test_what_cannot_be_stored_in_the_end_is_said_and_the_log_is_cut_off(
    logs: LogsFixture, blobs: CountingBlobs, failure: Exception
) -> None:
    writer = logs.writer(*LOG)
    writer.append(b"stored\n", Stream.STDOUT, 0)
    writer.flush()
    blobs.failure = failure
    writer.append(b"not stored\n", Stream.STDOUT, 1)
    with pytest.raises(type(failure), match=str(failure)):
        writer.close()
    assert (writer.size_bytes, writer.lines) == (7, 1)
    with logs.open(*LOG) as reader:
        assert (reader.read(0), reader.complete, reader.cut_off) == (b"stored\n", False, True)


def test_a_store_that_refuses_is_not_tried_again_at_the_end(
    sqlite_database: Engine, tmp_path: Path, blobs: CountingBlobs
) -> None:
    logs = logs_fixture(sqlite_database, tmp_path, blobs, Pace(flush_after_ms=1000, end_patience_s=30))
    writer = logs.writer(*LOG)
    writer.append(b"x", Stream.STDOUT, 0)
    blobs.failure = BlobsRefusedError("no bucket")
    began_s = time.monotonic()
    with pytest.raises(BlobsRefusedError):
        writer.close()
    assert time.monotonic() - began_s < 5


def test_the_log_of_a_lost_worker_is_cut_off_and_no_longer_than_what_was_stored(logs: LogsFixture) -> None:
    writer = logs.writer(*LOG)
    writer.append(b"stored\n", Stream.STDOUT, 0)
    writer.flush()
    writer.append(b"only in memory\n", Stream.STDOUT, 1)
    with logs.open(*LOG) as reader:
        assert not reader.cut_off
        with transaction(logs.database) as session:
            session.execute(update(Job).values(state=State.QUEUED))
        reader.refresh()
        assert (reader.read(0), reader.complete, reader.cut_off) == (b"stored\n", False, True)


@pytest.mark.parametrize("change", [{"attempt": 2}, {"state": State.QUEUED}])
def test_a_stale_attempt_writes_no_row_and_leaves_no_blob(logs: LogsFixture, change: dict[str, object]) -> None:
    writer = logs.writer(*LOG)
    writer.append(b"stale\n", Stream.STDOUT, 0)
    with transaction(logs.database) as session:
        session.execute(update(Job).values(change))
    with pytest.raises(store.StaleAttemptError):
        writer.flush()
    assert files(logs) == []
    assert live_segments(logs) == 0


def test_a_stale_attempt_learns_it_from_the_thread_that_stores(logs: LogsFixture) -> None:
    writer = logs.writer(*LOG)
    with transaction(logs.database) as session:
        session.execute(update(Job).values(attempt=2))
    writer.append(b"stale\n", Stream.STDOUT, 0)
    writer.flush_older(0)

    def refused() -> bool:
        try:
            writer.append(b"more\n", Stream.STDOUT, 1)
        except store.StaleAttemptError:
            return True
        return False

    eventually(refused)


def test_of_two_writers_of_one_log_the_later_learns_that_it_is_stale(logs: LogsFixture) -> None:
    first, second = logs.writer(*LOG), logs.writer(*LOG)
    first.append(b"first\n", Stream.STDOUT, 0)
    second.append(b"second\n", Stream.STDOUT, 0)
    first.flush()
    with pytest.raises(store.StaleAttemptError):
        second.flush()
    assert whole(logs) == b"first\n"


def test_no_thread_is_left_of_closed_writers(logs: LogsFixture) -> None:
    before = threading.active_count()
    for number in range(1, 4):
        writer = logs.writer(7, 70, number, 1)
        writer.append(b"x" * 5_000_000, Stream.STDOUT, 0)
        writer.close()
    assert threading.active_count() == before


def old_logs(logs: LogsFixture, tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "before_blobs", tmp_path / "logs")
    logs.writer(*LOG).close()
    with transaction(logs.database) as session:
        session.execute(update(Job).values(key=""))
        session.delete(session.scalars(select(StoredLog)).one())


def test_a_log_of_before_the_blob_store_is_read_and_deleted(logs: LogsFixture, tmp_path: Path) -> None:
    old_logs(logs, tmp_path)
    with logs.open(*LOG) as reader:
        assert (reader.read(0), reader.lines, reader.complete) == (b"one\ntwo\ntrouble\n", 3, True)
        assert reader.line_offset(3) == 8
        assert [(each.offset, each.at_ms, each.stream) for each in reader.chunks(0, 99)] == [
            (0, 1000, Stream.STDOUT), (8, 2000, Stream.STDERR),
        ]  # fmt: skip
        reader.refresh()
        assert reader.lines == 3
    with logs.open(7, 70, 2, 1) as reader:
        assert (reader.read(0), reader.complete, reader.cut_off) == (b"never ended", False, False)
    logs.delete_run(7)
    assert list((tmp_path / "logs").rglob("*.zst")) == []


def test_files_of_another_database_are_neither_read_nor_deleted(logs: LogsFixture, tmp_path: Path) -> None:
    """They have the same numbers, as with an empty database on the same folder. The job has a key: they are not its."""
    shutil.copytree(Path(__file__).parent / "before_blobs", tmp_path / "logs")
    logs.writer(7, 70, 9, 1).close()
    assert whole(logs) == b""
    logs.delete_run(7)
    assert len(list((tmp_path / "logs").rglob("*.zst"))) == 2


def test_a_restored_database_shows_no_log_of_the_time_after_its_copy(
    sqlite_url: str, sqlite_database: Engine, tmp_path: Path
) -> None:
    logs = logs_fixture(sqlite_database, tmp_path)
    write(logs, b"before the copy\n", (1, 1, 1, 1))
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    copy = copied(sqlite_database, path, tmp_path)
    write(logs, b"a secret of another repository\n", (2, 2, 1, 1))
    there = set(files(logs))
    sqlite_database.dispose()
    for left in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        left.unlink(missing_ok=True)
    shutil.copy(copy, path)
    logs.writer(2, 2, 2, 1).close()
    assert whole(logs, (2, 2, 1, 1)) == b""
    write(logs, b"after the restore\n", (2, 2, 1, 1))
    assert [whole(logs, (number, number, 1, 1)) for number in (1, 2)] == [b"before the copy\n", b"after the restore\n"]
    assert there < set(files(logs))


def copied(database: Engine, path: Path, folder: Path) -> Path:
    database.dispose()
    subprocess.run(
        ["python3", "-c", "import sqlite3,sys; sqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', (sys.argv[2],))",
         str(path), str(folder / "copy.db")], check=True,
    )  # fmt: skip
    return folder / "copy.db"


def test_the_pace_keeps_what_is_promised() -> None:
    assert (FOLDER_PACE.flush_after_ms, BUCKET_PACE.flush_after_ms) == (1000, 4000)
    assert segment_logs.READ_MAY_LAST_MS == 60_000


def test_a_bucket_that_is_away_for_a_while_loses_nothing(
    sqlite_database: Engine, tmp_path: Path, bucket_url: str, door: Door
) -> None:
    blobs = open_blobs(Settings(data_dir=tmp_path, blob_url=bucket_url))
    logs = logs_fixture(sqlite_database, tmp_path, blobs, Pace(flush_after_ms=100, end_patience_s=20))
    writer = logs.writer(*LOG)
    writer.append(DATA[:500_000], Stream.STDOUT, 0)
    writer.flush()
    door.shut = True
    door.cut()
    writer.append(DATA[500_000:], Stream.STDOUT, 1)
    writer.flush_older(1)
    opener = threading.Timer(1.0, door_opener(door))
    opener.start()
    writer.close()
    opener.join()
    with logs.open(*LOG) as reader:
        assert (reader.read(0, 10**8), reader.complete) == (DATA, True)


def door_opener(door: Door) -> Callable[[], None]:
    def open_it() -> None:
        door.shut = False

    return open_it
