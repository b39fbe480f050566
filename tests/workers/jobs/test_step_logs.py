"""A step's bytes from its container to the log store, through a whole worker."""

import base64
import hashlib
import random
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.docker.client import Engine
from runner.events import Stream
from runner.logs.output import CUT_OFF
from tests.support.disks import fill, mounted_disk
from tests.support.services import RedisServer
from tests.support.working import FinishedRun, PushWorker
from workers.logs import LogReader
from workers.settings import Settings

pytestmark = pytest.mark.engine
MIB = 1024**2
PYTHON = "python:3.13-slim"
BLOCKS = 960  # of a MiB and 8 bytes: a gigabyte, a little less than the limit of a step
PIECE = b"".join(b"%05d a line of a test suite that says little and says it often\n" % n for n in range(MIB // 63))
FLOOD = f"""\
import sys
piece = b"".join(b"%05d a line of a test suite that says little and says it often\\n" % n for n in range({MIB // 63}))
for block in range({BLOCKS}):
    sys.stdout.buffer.write(b"%07d\\n" % block + piece)
"""


def steps(*commands: str, image: str = "busybox") -> str:
    lines = "".join(f"      - |-\n        {command}\n" for command in commands)
    return f"steps:\n  - name: show\n    image: {image}\n    commands:\n{lines}"


def everything(reader: LogReader) -> bytes:
    return reader.read(0, reader.size_bytes)


def said(done: FinishedRun, stream: Stream) -> bytes:
    """What the index says came from this stream."""
    with done.log() as reader:
        data, chunks = everything(reader), list(reader.chunks(0, reader.size_bytes))
    ends = [chunk.offset for chunk in chunks[1:]] + [len(data)]
    parts = [data[chunk.offset : end] for chunk, end in zip(chunks, ends, strict=True) if chunk.stream is stream]
    return b"".join(parts)


@pytest.fixture
def worker(settings: Settings, engine: Engine, tmp_path: Path) -> Iterator[PushWorker]:
    worker = PushWorker(settings, tmp_path)
    yield worker
    worker.close()


def test_random_bytes_a_half_line_and_nul_bytes_are_stored_as_they_are(worker: PushWorker) -> None:
    data = random.Random(5).randbytes(700_001) + bytes(range(256)) + bytes(5_000) + b"\x1e\xf0\x9f no line end"
    done = worker.runs(steps("cat data"), {"data": data})
    assert done.run.state is State.PASSED
    with done.log() as reader:
        assert everything(reader) == b"+ cat data\n" + data
        assert reader.complete
    assert (done.steps[0].log_bytes, done.steps[0].log_lines) == (len(data) + 11, data.count(b"\n") + 2)


def test_the_index_separates_both_streams_and_keeps_the_order_of_each(worker: PushWorker) -> None:
    done = worker.runs(steps("for n in $(seq 300); do echo out $n; echo err $n >&2; done; printf half; exit 3"))
    assert said(done, Stream.STDERR) == b"".join(b"err %d\n" % n for n in range(1, 301))
    assert said(done, Stream.STDOUT).endswith(b"done; printf half; exit 3\n" + OUT + b"half")
    assert said(done, Stream.NOTE) == b"headway: exited with 3\n"


OUT = b"".join(b"out %d\n" % n for n in range(1, 301))


def test_a_progress_bar_is_kept_whole(worker: PushWorker) -> None:
    done = worker.runs(steps(r"for n in $(seq 500); do printf '\r%d of 500' $n; done; echo"))
    bar = b"".join(b"\r%d of 500" % n for n in range(1, 501)) + b"\n"
    with done.log() as reader:
        assert everything(reader).endswith(b"done; echo\n" + bar)
        assert reader.lines == 2


def test_a_secret_and_a_character_that_arrive_in_pieces_are_masked_and_whole(worker: PushWorker) -> None:
    worker.secret("token", "hunter2-is-it")
    script = r"printf 'hunter2'; sleep 0.2; printf -- '-is-it \342\230'; sleep 0.2; printf '\203 hunter2-'; sleep 0.1"
    box = steps(script) + "    environment: {TOKEN: {from_secret: token}}\n"
    done = worker.runs(box)
    with done.log() as reader:
        assert everything(reader).endswith("sleep 0.1\n******** ☃ hunter2-".encode())


@pytest.mark.stress
@pytest.mark.timeout(400)
def test_a_gigabyte_is_stored_exactly_and_takes_no_memory(worker: PushWorker) -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = worker.runs(steps("python flood.py", image=PYTHON), {"flood.py": FLOOD})
    assert done.run.state is State.PASSED
    wanted, stored = hashlib.sha256(b"+ python flood.py\n"), hashlib.sha256()
    for block in range(BLOCKS):
        wanted.update(b"%07d\n" % block)
        wanted.update(PIECE)
    with done.log() as reader:
        for offset in range(0, reader.size_bytes, MIB):
            stored.update(reader.read(offset, MIB))
        assert reader.size_bytes > 10**9
        assert stored.digest() == wanted.digest()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) * 1024 < 48 * MIB


def test_at_the_limit_a_sentence_ends_the_log_and_the_step_decides_the_verdict(
    settings: Settings, tmp_path: Path
) -> None:
    worker = PushWorker(settings.model_copy(update={"log_bytes_max": 500_000}), tmp_path)
    done = worker.runs(steps("yes a line that says little | head -c 3000000; exit 4"))
    worker.close()
    assert (done.run.state, done.steps[0].exit_code) == (State.FAILED, 4)
    with done.log() as reader:
        sentence = b"\nheadway: the output ends here: it is larger than the limit of 500,000 bytes for a step.\n"
        assert everything(reader)[500_000:] == sentence


def test_a_redis_that_never_answers_loses_no_stored_byte(
    settings: Settings, redis_server: RedisServer, tmp_path: Path
) -> None:
    worker = PushWorker(settings.model_copy(update={"redis_url": redis_server.url}), tmp_path)
    redis_server.send(signal.SIGSTOP)
    data = random.Random(6).randbytes(9 * MIB)
    done = worker.runs(steps("cat data"), {"data": data})
    worker.close()
    assert done.run.state is State.PASSED
    with done.log() as reader:
        assert everything(reader) == b"+ cat data\n" + data


def test_a_log_that_does_not_fit_on_its_disk_breaks_the_run_with_a_sentence(settings: Settings, tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "small", "700k") as small_disk:
        worker = PushWorker(settings.model_copy(update={"attempts_max": 1}), tmp_path, small_disk)
        done = worker.runs(steps("cat data; echo the end"), {"data": random.Random(5).randbytes(4 * MIB)})
        worker.close()
        check_the_end_of(done, small_disk)


def check_the_end_of(done: FinishedRun, small_disk: Path) -> None:
    assert (done.run.state, done.run.reason) == (State.BROKEN, Reason.DISK_FULL)
    assert f"the disk is full: [Errno 28] No space left on device: '{small_disk}" in done.run.sentence
    (step,) = done.steps
    assert (step.state, f"step 'show': {step.message}") == (State.BROKEN, done.run.sentence)
    with done.log() as reader:
        assert not reader.complete
        assert (step.log_bytes, step.log_lines) == (reader.size_bytes, reader.lines)
        assert step.log_bytes > 0


def test_logs_stop_at_the_reserve_and_no_job_is_taken_until_there_is_room(settings: Settings, own_disk: Path) -> None:
    data = own_disk / "data"
    worker = PushWorker(settings.model_copy(update={"data_dir": data}), own_disk)
    done = worker.runs(steps("head -c 200000000 /dev/urandom; exit 3"))
    (step,) = done.steps
    assert (done.run.state, step.exit_code) == (State.FAILED, 3)
    assert step.message == f"exited with 3; {CUT_OFF}"
    with done.log() as reader:
        assert everything(reader).endswith(f"\nheadway: {CUT_OFF}.\n".encode())
        assert reader.complete
        assert (step.log_bytes, step.log_lines) == (reader.size_bytes, reader.lines)
    assert shutil.disk_usage(own_disk).free > 5 * MIB
    assert worker.runs(steps("true"), disk_patience_s=0.1).run.state is State.QUEUED
    shutil.rmtree(data / "blobs")
    assert worker.runs(steps("true")).run.state is State.PASSED
    worker.close()


def test_a_secret_that_repeats_one_byte_is_masked_while_the_lease_is_renewed(worker: PushWorker) -> None:
    """The mask once took the square of the secret's length to build: the lease ran out, in one worker after another."""
    worker.secret("zeros", base64.b64encode(bytes(20_000)).decode())
    done = worker.runs(steps("head -c 3000000 /dev/zero | tr '\\0' A; head -c 200 /dev/zero | tr '\\0' B"))
    shown = said(done, Stream.STDOUT)
    assert shown.endswith(b"B" * 200)
    assert b"********" in shown
    assert b"AAAA" not in shown
    assert done.run.state is State.PASSED
    assert done.steps[0].attempt == 1


def test_a_step_that_fills_the_disk_with_its_checkout_is_stopped(settings: Settings, own_disk: Path) -> None:
    worker = PushWorker(settings.model_copy(update={"data_dir": own_disk / "data", "grace_s": 1}), own_disk)
    ballast = fill(own_disk, free_bytes=10 * MIB)
    done = worker.runs(steps("head -c 8000000 /dev/zero > big; sleep 100"))
    assert (done.run.state, done.run.reason) == (State.BROKEN, Reason.DISK_FULL)
    assert "stopped: the server's disk was full, and this job filled it with" in done.run.sentence
    assert "the largest file is workspace/src/big" in done.run.sentence
    ballast.unlink()
    assert worker.runs(steps("true")).run.state is State.PASSED
    worker.close()
