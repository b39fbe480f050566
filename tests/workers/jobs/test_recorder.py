"""The recorder: the runner's events become rows, the stored log and the live tail, whatever Redis does."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pipelines.state import PASSED, Outcome, Reason, State
from runner.events import (
    CachesUsed,
    CacheUse,
    EndedAttempt,
    ImageBuilt,
    ImagePullChanged,
    ImagePushed,
    InstructionChanged,
    JobNote,
    ServiceChanged,
    StepFinished,
    StepMeasured,
    StepOutput,
    StepRetried,
    StepStarted,
    Stream,
)
from tests.support.notices import notices
from tests.support.recording import RecorderFixture
from tests.support.services import RedisServer, eventually
from workers import store
from workers.db.models import Job
from workers.db.session import reading, transaction
from workers.jobs.takeovers.takeover import bytes_of_streams
from workers.store.jobs import leases
from workers.store.jobs.recording import SERVICE_MESSAGE_CHARS_MAX
from workers.streaming import redis_stream
from workers.streaming.publisher import PENDING_BYTES_MAX, LogPublisher
from workers.streaming.redis_stream import LiveChunk, LiveEnd, LiveTail


@pytest.fixture
def parts(sqlite_database: Engine, redis_url: str, tmp_path: Path) -> Iterator[RecorderFixture]:
    client = redis_stream.connect(redis_url)
    yield RecorderFixture(sqlite_database, LiveTail(client), tmp_path)
    client.close()


@pytest.fixture
def shaky(sqlite_database: Engine, redis_server: RedisServer, tmp_path: Path) -> Iterator[RecorderFixture]:
    """A parts with a Redis of its own, to be stopped."""
    client = redis_stream.connect(redis_server.url, timeout_s=0.3)
    yield RecorderFixture(sqlite_database, LiveTail(client), tmp_path)
    client.close()


def test_a_step_is_recorded_from_start_to_end(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        assert parts.step(1).state is State.RUNNING
        record(StepOutput(1, 0, b"one\ntw", Stream.STDOUT))
        record(StepOutput(1, 6, b"o\n", Stream.STDERR))
        record(StepFinished(1, Outcome(State.FAILED, Reason.EXIT_CODE, "It failed.", 3)))
    step = parts.step(1)
    assert (step.state, step.reason, step.message, step.exit_code) == (State.FAILED, Reason.EXIT_CODE, "It failed.", 3)
    assert (step.log_bytes, step.log_lines) == (8, 2)
    assert (parts.log(1), parts.complete(1)) == (b"one\ntwo\n", True)
    *chunks, end = parts.live(1)
    assert isinstance(end, LiveEnd)
    assert b"".join(chunk.data for chunk in chunks if isinstance(chunk, LiveChunk)) == b"one\ntwo\n"


def test_a_step_that_wrote_nothing_has_a_complete_empty_log(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, PASSED))
    assert (parts.log(1), parts.complete(1)) == (b"", True)
    assert parts.live(1) == [LiveEnd()]


def test_a_step_that_did_not_start_is_skipped_without_a_log(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepFinished(2, Outcome(State.SKIPPED, Reason.DEPENDENCY_FAILED, "An earlier step failed.")))
    assert (parts.step(2).state, parts.step(2).reason) == (State.SKIPPED, Reason.DEPENDENCY_FAILED)
    assert not parts.complete(2)


@pytest.mark.stress
def test_output_is_live_at_once_and_stored_within_a_second_though_nothing_more_comes(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"hello", Stream.STDOUT))
        eventually(lambda: parts.live(1) == [LiveChunk(0, b"hello")], within_s=5)
        eventually(lambda: parts.log(1) == b"hello", within_s=5)
        assert not parts.complete(1)


def test_the_rows_have_the_end_of_a_step_before_the_live_tail_does(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, PASSED))
        eventually(lambda: LiveEnd() in parts.live(1))
        assert parts.step(1).state is State.PASSED


@pytest.mark.slow
def test_every_change_is_published(parts: RecorderFixture, redis_url: str) -> None:
    with (
        parts.recorder() as record,
        redis_stream.connect(redis_url) as client,
        notices(client, redis_stream.run_channel(parts.claim.run_id)) as published,
    ):
        record(StepStarted(1))
        eventually(lambda: published() == 1)
        record(StepFinished(1, PASSED))
        eventually(lambda: published() == 2)


def test_output_of_steps_that_run_at_the_same_time_is_not_mixed(parts: RecorderFixture) -> None:
    with parts.recorder() as record:

        def work(step: int) -> None:
            record(StepStarted(step))
            for number in range(400):
                line = b"%d %04d\n" % (step, number)
                record(StepOutput(step, number * len(line), line, Stream.STDOUT))
            record(StepFinished(step, PASSED))

        threads = [threading.Thread(target=work, args=(step,)) for step in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for step in (1, 2, 3):
        assert parts.log(step) == b"".join(b"%d %04d\n" % (step, number) for number in range(400))
        assert parts.step(step).log_lines == 400


def test_a_pull_is_in_the_jobs_row_from_its_begin_on(parts: RecorderFixture) -> None:
    def pulls() -> list[tuple[str, bool, int, bool]]:
        with reading(parts.database) as session:
            job = session.get_one(Job, parts.claim.job_id)
        return [
            (each["image"], each["finished_ms"] is None, each["downloaded_bytes"], each["failed"]) for each in job.pulls
        ]

    with parts.recorder() as record:
        record(ImagePullChanged("alpine:3"))
        assert pulls() == [("alpine:3", True, 0, False)]
        record(ImagePullChanged("alpine:3", 1.5, 700))
        record(ImagePullChanged("none:1"))
        record(ImagePullChanged("none:1", 0.5, failed=True))
    assert pulls() == [("alpine:3", False, 700, False), ("none:1", False, 0, True)]


def test_instructions_images_and_pushes_become_facts(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        record(InstructionChanged(1, 1, "RUN make"))
        record(InstructionChanged(1, 0, "FROM busybox", cached=True, seconds=0.0))
        eventually(lambda: len(parts.step(1).facts.get("instructions", [])) == 2)
        record(InstructionChanged(1, 1, "RUN make", seconds=1.5))
        record(ImageBuilt(1, "sha256:abc", 1234))
        record(ImagePushed(1, "registry/roof", "latest", "sha256:d1", "sha256:abc"))
        record(ImagePushed(1, "registry/roof", "1.0", "sha256:d1", "sha256:abc"))
        record(StepFinished(1, PASSED))
    assert parts.step(1).facts == {
        "instructions": [
            {"index": 0, "text": "FROM busybox", "cached": True, "seconds": 0.0, "error": ""},
            {"index": 1, "text": "RUN make", "cached": False, "seconds": 1.5, "error": ""},
        ],
        "image_id": "sha256:abc",
        "size_bytes": 1234,
        "pushed": [
            {"repo": "registry/roof", "tag": "latest", "digest": "sha256:d1", "image_id": "sha256:abc"},
            {"repo": "registry/roof", "tag": "1.0", "digest": "sha256:d1", "image_id": "sha256:abc"},
        ],
    }


def test_a_note_is_the_jobs_message(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(JobNote("Waiting for the database."))
    with reading(parts.database) as session:
        job = store.job_by_id(session, parts.claim.job_id)
    assert job is not None
    assert job.message == "Waiting for the database."


def test_after_the_job_was_lost_the_next_event_raises_and_writes_nothing(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        with transaction(parts.database) as session:
            leases.reap(session, leases.held(session))
            assert leases.claim(session, parts.claim.job_id, "w2", 60) is not None
        with pytest.raises(store.StaleAttemptError):
            record(StepFinished(1, PASSED))
    assert (parts.step(1).state, parts.step(1).attempt) == (State.QUEUED, 2)


def test_after_the_job_was_lost_a_background_write_of_facts_raises_at_the_next_event(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        with transaction(parts.database) as session:
            leases.reap(session, leases.held(session))
        record(InstructionChanged(1, 0, "FROM busybox"))

        def refused() -> bool:
            try:
                record(StepOutput(1, 0, b"", Stream.STDOUT))
            except store.StaleAttemptError:
                return True
            return False

        eventually(refused)


def test_output_that_was_stored_already_is_not_stored_twice(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"hello ", Stream.STDOUT))
    with parts.recorder() as record:
        record(StepOutput(1, 0, b"hel", Stream.STDOUT))
        record(StepOutput(1, 3, b"lo world", Stream.STDOUT))
        record(StepFinished(1, PASSED))
    assert (parts.log(1), parts.step(1).log_bytes) == (b"hello world", 11)


def test_a_gap_in_the_output_is_an_error(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        with pytest.raises(ValueError, match="bytes are missing before offset 5"):
            record(StepOutput(1, 5, b"late", Stream.STDOUT))


def test_without_a_redis_everything_is_stored(sqlite_database: Engine, tmp_path: Path) -> None:
    parts = RecorderFixture(sqlite_database, None, tmp_path)
    with parts.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"hello", Stream.STDOUT))
        record(StepFinished(1, PASSED))
    assert (parts.log(1), parts.complete(1)) == (b"hello", True)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["dead", "frozen"])
def test_a_redis_that_fails_loses_no_stored_byte_and_does_not_delay_the_step(
    shaky: RecorderFixture, redis_server: RedisServer, trouble: str
) -> None:
    piece = b"0123456789abcdef" * 4096
    with shaky.recorder() as record:
        record(StepStarted(1))
        if trouble == "dead":
            redis_server.stop()
        else:
            redis_server.send(signal.SIGSTOP)
        # Six times what may wait for Redis: a recorder that waited for it would run into the test's time limit.
        for number in range(6 * PENDING_BYTES_MAX // len(piece)):
            record(StepOutput(1, number * len(piece), piece, Stream.STDOUT))
        record(StepFinished(1, PASSED))
    assert shaky.log(1) == piece * (6 * PENDING_BYTES_MAX // len(piece))
    assert shaky.step(1).state is State.PASSED


@pytest.mark.stress
def test_after_redis_is_back_the_tail_continues_at_the_right_offset(
    shaky: RecorderFixture, redis_server: RedisServer
) -> None:
    with shaky.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"one", Stream.STDOUT))
        eventually(lambda: shaky.live(1) == [LiveChunk(0, b"one")])
        redis_server.stop()
        record(StepOutput(1, 3, b"two", Stream.STDOUT))
        redis_server.start()
        offset = 6

        def seen() -> bool:
            nonlocal offset
            record(StepOutput(1, offset, b"more", Stream.STDOUT))
            offset += 4
            last = shaky.live(1)[-1]
            return isinstance(last, LiveChunk) and last.offset >= 6 and last.data.startswith(b"more")

        eventually(seen)
        record(StepFinished(1, PASSED))
    assert shaky.log(1) == b"onetwo" + b"more" * ((offset - 6) // 4)


class SlowTail(LiveTail):
    """Stands where a slow Redis would: hands nothing on until it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.got: list[tuple[int, bytes]] = []

    def publish(self, step_id: int, attempt: int, offset: int, data: bytes) -> bool:
        self.may.wait(30)
        self.got.append((offset, data))
        return True


@pytest.mark.slow
def test_the_buffer_for_a_slow_redis_is_bounded_and_its_offsets_stay_right() -> None:
    tail = SlowTail()
    pump = LogPublisher(tail, run_id=1, attempt=1)
    data = b"".join(b"%07d\n" % number for number in range(3 * PENDING_BYTES_MAX // 8))
    for offset in range(0, len(data), 10_000):
        pump.output(5, offset, data[offset : offset + 10_000])
    tail.may.set()
    pump.close()
    assert sum(len(piece) for _, piece in tail.got) <= 2 * PENDING_BYTES_MAX
    assert all(data[offset : offset + len(piece)] == piece for offset, piece in tail.got)
    last_offset, last = tail.got[-1]
    assert last_offset + len(last) == len(data)


def test_the_attempts_of_a_step_are_kept_and_what_they_wrote_is_stored_at_once(parts: RecorderFixture) -> None:
    failed = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 9", 9)
    with parts.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"first\n", Stream.STDOUT))
        record(StepRetried(1, (EndedAttempt(failed, 12.5, 2.25, 6),)))
        assert parts.log(1) == b"first\n"
        record(StepOutput(1, 6, b"second\n", Stream.STDOUT))
        record(StepFinished(1, PASSED))
    (attempt,) = parts.step(1).facts["attempts"]
    assert attempt == {
        "state": "failed",
        "reason": "exit_code",
        "message": "exited with 9",
        "exit_code": 9,
        "started_ms": 12_500,
        "seconds": 2.25,
        "log_end_bytes": 6,
    }
    assert parts.log(1) == b"first\nsecond\n"


def test_what_the_last_attempt_used_is_kept(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        record(StepMeasured(1, 5_000_000, 0.25, 0))
        record(StepMeasured(1, 7_000_000, 1.5, 16_777_216))
        record(StepFinished(1, PASSED))
    expected = {"memory_peak_bytes": 7_000_000, "cpu_seconds": 1.5, "memory_limit_bytes": 16_777_216}
    assert parts.step(1).facts["usage"] == expected


def test_the_caches_of_a_step_are_facts(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        record(CachesUsed(1, (CacheUse("pip", "pip-2"),)))
        record(CachesUsed(1, (CacheUse("pip", "pip-2", "pip-1", 10, saved_bytes=20, faster_s=1.5),)))
        record(StepFinished(1, PASSED))
    (cache,) = parts.step(1).facts["caches"]
    assert cache == {
        "name": "pip",
        "key": "pip-2",
        "found": "pip-1",
        "size_bytes": 10,
        "copied": False,
        "saved_bytes": 20,
        "faster_s": 1.5,
    }


def test_a_name_that_two_attempts_pushed_is_kept_once(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        for digest in ("sha256:1", "sha256:2"):
            record(ImagePushed(1, "host/app", "1", digest, "sha256:i"))
        record(StepFinished(1, PASSED))
    assert [pushed["digest"] for pushed in parts.step(1).facts["pushed"]] == ["sha256:2"]


def test_the_output_of_the_attempt_that_goes_on_is_counted_from_its_start(parts: RecorderFixture) -> None:
    with parts.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"first\n", Stream.STDOUT))
        record(StepOutput(1, 6, b"again\n", Stream.NOTE))
        record(StepRetried(1, ()))
        record(StepOutput(1, 12, b"second\n", Stream.STDOUT))
        record(StepOutput(1, 19, b"oops\n", Stream.STDERR))
        record(StepFinished(1, PASSED))
    claim = parts.claim
    with parts.logs.open(claim.run_id, claim.job_id, 1, claim.origin) as log:
        assert bytes_of_streams(log, 12) == {Stream.STDOUT: 7, Stream.STDERR: 5}
        assert bytes_of_streams(log, 0) == {Stream.STDOUT: 13, Stream.NOTE: 6, Stream.STDERR: 5}


def test_what_a_service_does_is_in_its_jobs_row(parts: RecorderFixture) -> None:
    def services() -> list[dict[str, object]]:
        with reading(parts.database) as session:
            return session.get_one(Job, parts.claim.job_id).services

    with transaction(parts.database) as session:
        waiting = {"name": "db", "image": "postgres:17", "state": "waiting", "message": ""}
        session.get_one(Job, parts.claim.job_id).services = [waiting, {**waiting, "name": "web"}]
    with parts.recorder() as record:
        record(ServiceChanged("db", "ready"))
        assert [each["state"] for each in services()] == ["ready", "waiting"]
        record(ServiceChanged("web", "failed", "x" * SERVICE_MESSAGE_CHARS_MAX + "y"))
    assert services()[1]["message"] == "x" * SERVICE_MESSAGE_CHARS_MAX
    with transaction(parts.database) as session:
        leases.start_steps_over(session, parts.claim.job_id, 1)
    assert [(each["state"], each["message"]) for each in services()] == [("waiting", "")] * 2
