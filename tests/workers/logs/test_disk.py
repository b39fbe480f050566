"""Logs on disk: their files, crashes in the middle of a write, and a full disk."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.events import Stream
from tests.support.services import need
from workers.logs import DiskLogs, LogDamagedError, open_logs
from workers.settings import Settings

LOG = (1234, 70, 1, 1)
LINES = [b"line %06d of quite ordinary output\n" % number for number in range(15_000)]
DATA = b"".join(LINES)


def files(root: Path) -> dict[str, Path]:
    return {path.suffix: path for path in root.rglob("*") if path.is_file()}


def written(root: Path, closed: bool = False) -> dict[str, Path]:
    writer = DiskLogs(root).writer(*LOG)
    for number in range(0, len(LINES), 1000):
        stream = Stream.STDERR if number % 2000 else Stream.STDOUT
        writer.append(b"".join(LINES[number : number + 1000]), stream, number)
    writer.flush()
    (writer.close if closed else writer.suspend)()
    return files(root)


def test_anybody_can_read_a_log_with_zstdcat(tmp_path: Path) -> None:
    path = written(tmp_path, closed=True)[".zst"]
    shown = subprocess.run([need(shutil.which("zstdcat"), "zstd"), path], capture_output=True, check=True)
    assert shown.stdout == DATA


def test_the_settings_say_where_logs_are(tmp_path: Path) -> None:
    writer = open_logs(Settings(data_dir=tmp_path)).writer(*LOG)
    writer.close()
    stored = list(files(tmp_path).values())
    assert stored
    assert [path for path in stored if not path.is_relative_to(tmp_path / "logs")] == []


def test_files_are_not_readable_by_others(tmp_path: Path) -> None:
    assert {path.stat().st_mode & 0o007 for path in written(tmp_path).values()} == {0}


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keep=st.fixed_dictionaries({suffix: st.floats(0, 1) for suffix in (".zst", ".idx", ".src")}),
    junk=st.fixed_dictionaries({suffix: st.binary(max_size=60) for suffix in (".zst", ".idx", ".src")}),
    zeros=st.integers(0, 100),
)
def test_after_any_crash_a_new_writer_continues_with_a_correct_beginning(
    tmp_path_factory: pytest.TempPathFactory, keep: dict[str, float], junk: dict[str, bytes], zeros: int
) -> None:
    root = tmp_path_factory.mktemp("logs")
    for suffix, path in written(root).items():
        whole = path.read_bytes()
        torn = whole[: int(len(whole) * keep[suffix])] + junk[suffix]
        path.write_bytes(torn + b"\0" * (zeros if suffix == ".idx" else 0))
    logs = DiskLogs(root)
    writer = logs.writer(*LOG)
    kept = writer.size_bytes
    writer.append(b"and on\n", Stream.NOTE, 99)
    writer.close()
    with logs.open(*LOG) as reader:
        assert reader.complete
        assert reader.read(0, 10**8) == DATA[:kept] + b"and on\n"
        assert reader.chunks(kept, 1)[-1].stream is Stream.NOTE


def test_only_the_half_written_end_is_truncated(tmp_path: Path) -> None:
    paths = written(tmp_path)
    with paths[".zst"].open("ab") as file:
        file.write(b"half a frame")
    with paths[".idx"].open("ab") as file:
        file.write(b"half a rec")
    writer = DiskLogs(tmp_path).writer(*LOG)
    assert (writer.size_bytes, writer.lines) == (len(DATA), len(LINES))
    writer.close()


def test_readers_do_not_see_a_frame_whose_record_is_half_written(tmp_path: Path) -> None:
    paths = written(tmp_path)
    whole = paths[".idx"].read_bytes()
    paths[".idx"].write_bytes(whole[:-5])
    with DiskLogs(tmp_path).open(*LOG) as reader:
        before = reader.size_bytes
        assert 0 < before < len(DATA)
        assert reader.read(0, 10**8) == DATA[:before]
        paths[".idx"].write_bytes(whole)
        reader.refresh()
        assert reader.read(0, 10**8) == DATA


def test_readers_do_not_see_a_frame_that_is_incomplete(tmp_path: Path) -> None:
    path = written(tmp_path)[".zst"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with DiskLogs(tmp_path).open(*LOG) as reader:
        before = reader.size_bytes
        assert 0 < before < len(DATA)
        assert reader.read(0, 10**8) == DATA[:before]


def test_a_last_frame_of_zeros_after_a_power_loss_is_truncated(tmp_path: Path) -> None:
    path = written(tmp_path)[".zst"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] + bytes(100))
    writer = DiskLogs(tmp_path).writer(*LOG)
    kept = writer.size_bytes
    assert 0 < kept < len(DATA)
    writer.append(DATA[kept:], Stream.STDOUT, 1)
    writer.close()
    with DiskLogs(tmp_path).open(*LOG) as reader:
        assert reader.read(0, 10**8) == DATA


def test_a_corrupt_frame_is_reported_as_damaged_and_the_others_are_still_read(tmp_path: Path) -> None:
    path = written(tmp_path)[".zst"]
    rotten = bytearray(path.read_bytes())
    rotten[len(rotten) // 2] ^= 0xFF
    path.write_bytes(rotten)
    with DiskLogs(tmp_path).open(*LOG) as reader:
        assert reader.read(0, 1000) == DATA[:1000]
        assert reader.read(len(DATA) - 1000) == DATA[-1000:]
        with pytest.raises(LogDamagedError, match=r"1-1\.zst is damaged"):
            reader.read(0, 10**8)


@pytest.mark.slow
def test_the_log_of_a_killed_writer_is_complete_up_to_its_last_flush(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from runner.events import Stream\n"
        "from workers.logs import DiskLogs\n"
        "writer = DiskLogs(Path(sys.argv[1])).writer(1234, 70, 1, 1)\n"
        "writer.append(b'flushed\\n', Stream.STDOUT, 1)\n"
        "writer.flush()\n"
        "writer.append(b'waiting\\n', Stream.STDOUT, 2)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    with DiskLogs(tmp_path).open(*LOG) as reader:
        assert (reader.read(0), reader.complete) == (b"flushed\n", False)
    writer = DiskLogs(tmp_path).writer(*LOG)
    assert writer.size_bytes == len(b"flushed\n")
    writer.close()


def test_a_write_that_failed_on_a_full_disk_can_be_repeated(tmp_path: Path) -> None:
    logs = DiskLogs(tmp_path)
    writer = logs.writer(*LOG)
    writer.append(b"before\n", Stream.STDOUT, 1)
    writer.flush()
    noise = os.urandom(100_000)
    writer.append(noise, Stream.STDERR, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    with logs.open(*LOG) as reader:
        assert reader.read(0) == b"before\n"
    writer.close()
    with logs.open(*LOG) as reader:
        assert reader.read(0) == b"before\n" + noise
