"""The live tail, with a real Redis that also stops, hangs and comes back."""

import signal
import threading
from collections.abc import Iterator

import pytest
from redis import Redis, RedisError

from tests.support.notices import notices
from tests.support.services import RedisServer, eventually
from workers.streaming import redis_stream
from workers.streaming.redis_stream import LiveChunk, LiveEnd, LiveTail


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = redis_stream.connect(redis_url)
    yield client
    client.close()


@pytest.fixture
def tail(redis: Redis) -> LiveTail:
    return LiveTail(redis)


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_output_is_read_with_its_offsets_and_its_end(tail: LiveTail) -> None:
    assert tail.publish(1, 1, 0, b"one\n")
    assert tail.publish(1, 1, 4, b"\x00\xff two")
    assert tail.end(1, 1)
    entries = [entry for _, entry in tail.read(1, 1)]
    assert entries == [LiveChunk(0, b"one\n"), LiveChunk(4, b"\x00\xff two"), LiveEnd()]


def test_reading_goes_on_after_the_entry_that_was_read_last(tail: LiveTail) -> None:
    tail.publish(1, 1, 0, b"one")
    last = tail.read(1, 1)[-1][0]
    assert tail.read(1, 1, last) == []
    assert tail.read(1, 1, last, block_ms=10) == []
    tail.publish(1, 1, 3, b"two")
    assert [entry for _, entry in tail.read(1, 1, last)] == [LiveChunk(3, b"two")]


def test_a_reader_that_waits_gets_what_comes(tail: LiveTail) -> None:
    got: list[redis_stream.Entry] = []

    def wait() -> None:
        while not got:
            got.extend(entry for _, entry in tail.read(1, 1, "0", block_ms=500))

    thread = threading.Thread(target=wait)
    thread.start()
    tail.publish(1, 1, 0, b"hello")
    thread.join(10)
    assert got == [LiveChunk(0, b"hello")]


def test_attempts_and_steps_have_streams_of_their_own(tail: LiveTail) -> None:
    tail.publish(1, 1, 0, b"first")
    tail.publish(1, 2, 0, b"second")
    tail.publish(2, 1, 0, b"other")
    assert [entry for _, entry in tail.read(1, 2)] == [LiveChunk(0, b"second")]


def test_large_output_is_cut_into_pieces_without_losing_a_byte(tail: LiveTail) -> None:
    data = bytes(range(256)) * 1000
    tail.publish(1, 1, 10, data)
    entries = [entry for _, entry in tail.read(1, 1)]
    assert len(entries) == 4
    at = 10
    for entry in entries:
        assert isinstance(entry, LiveChunk)
        assert len(entry.data) <= redis_stream.CHUNK_BYTES_MAX
        assert (entry.offset, entry.data) == (at, data[at - 10 : at - 10 + len(entry.data)])
        at += len(entry.data)
    assert at == 10 + len(data)


def test_only_the_newest_output_of_a_step_is_kept_and_not_for_ever(tail: LiveTail, redis: Redis) -> None:
    piece = b"x" * redis_stream.CHUNK_BYTES_MAX
    for number in range(400):
        tail.publish(1, 1, number * len(piece), piece)
    key = redis_stream.step_key(1, 1)
    assert 256 <= redis.xlen(key) <= 300
    assert (redis.memory_usage(key) or 0) < 24 * 1024 * 1024
    assert 0 < redis.ttl(key) <= 3600
    last = tail.read(1, 1)[-1][1]
    assert isinstance(last, LiveChunk)
    assert last.offset == 399 * len(piece)


def test_changes_of_a_run_reach_its_page_and_the_front_page(tail: LiveTail, redis: Redis) -> None:
    with notices(redis, redis_stream.run_channel(7)) as run, notices(redis, redis_stream.CHANGES_CHANNEL) as all_runs:
        tail.changed(7)
        tail.changed(8)
        assert (run(), all_runs()) == (1, 2)


def test_output_and_the_end_of_a_step_are_announced_on_the_channel_with_the_name_of_its_stream(
    tail: LiveTail, redis: Redis
) -> None:
    with notices(redis, redis_stream.step_key(1, 1)) as step:
        tail.publish(1, 1, 0, b"output")
        assert step() == 1
        tail.end(1, 1)
        tail.end(1, 2)
        assert step() == 2


def test_a_published_cancellation_wakes_only_the_worker_of_its_run(tail: LiveTail, redis: Redis) -> None:
    answers: dict[int, bool] = {}
    stop = threading.Event()

    def wait(run_id: int) -> None:
        answers[run_id] = tail.wait_for_cancel(run_id, 30, stop)

    threads = [threading.Thread(target=wait, args=(run_id,)) for run_id in (7, 8)]
    for thread in threads:
        thread.start()
    eventually(lambda: redis.pubsub_numsub(redis_stream.CANCEL_CHANNEL)[0][1] == 2)
    tail.publish_cancel(7)
    threads[0].join(10)
    assert answers == {7: True}
    stop.set()
    threads[1].join(10)
    assert answers == {7: True, 8: False}


def test_waiting_for_a_cancellation_ends_after_the_timeout(tail: LiveTail) -> None:
    assert not tail.wait_for_cancel(7, 0.05, threading.Event())


def test_while_redis_is_away_only_live_updates_are_lost(redis_server: RedisServer) -> None:
    clock = Clock()
    with redis_stream.connect(redis_server.url) as client:
        tail = LiveTail(client, clock)
        assert tail.publish(1, 1, 0, b"one")
        redis_server.stop()
        assert not tail.publish(1, 1, 3, b"two")
        redis_server.start()
        assert not tail.changed(1)
        clock.now_s += 2
        assert tail.publish(1, 1, 6, b"three")
        offsets = [entry.offset for _, entry in tail.read(1, 1) if isinstance(entry, LiveChunk)]
        assert offsets[-1] == 6


def test_after_a_timeout_the_live_tail_backs_off_for_a_second(redis_server: RedisServer) -> None:
    clock = Clock()
    with redis_stream.connect(redis_server.url, timeout_s=0.2) as client:
        tail = LiveTail(client, clock)
        assert tail.changed(1)
        redis_server.send(signal.SIGSTOP)
        assert not tail.changed(1)
        redis_server.send(signal.SIGCONT)
        assert not tail.changed(1)

        def again() -> bool:
            clock.now_s += 2
            return tail.changed(1)

        eventually(again)


def test_reading_from_a_redis_that_is_away_is_an_error(redis_server: RedisServer) -> None:
    with redis_stream.connect(redis_server.url) as client:
        redis_server.stop()
        with pytest.raises(RedisError):
            LiveTail(client).read(1, 1)


def test_waiting_for_a_cancellation_is_no_error_while_redis_is_away(redis_server: RedisServer) -> None:
    with redis_stream.connect(redis_server.url) as client:
        redis_server.stop()
        assert not LiveTail(client).wait_for_cancel(7, 0.05, threading.Event())
