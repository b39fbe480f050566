"""What waits to be written or sent, exactly at the limit and one past it."""

import threading
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import Engine

from runner.events import Stream
from tests.support.logs import logs_fixture
from tests.support.services import eventually
from workers.logs.pace import BUCKET_PACE, FOLDER_PACE
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import BackgroundNotifier, Notifier, queue_length
from workers.settings import Settings
from workers.streaming.publisher import PENDING_BYTES_MAX, LogPublisher
from workers.streaming.redis_stream import LiveTail

LOG = (1, 1, 1, 1)


@pytest.mark.parametrize(("calls", "sent"), [(5, 5), (6, 5)])
def test_no_more_wake_ups_wait_than_they_may(redis_url: str, calls: int, sent: int) -> None:
    notifier = BackgroundNotifier(Notifier(make_celery(Settings(redis_url=redis_url))), waiting_max=5)
    for number in range(calls):
        notifier.notify(number)
    with notifier:
        pass
    with Redis.from_url(redis_url) as client:
        assert queue_length(client) == sent


@pytest.mark.parametrize(("size", "stored"), [(512 * 1024 - 1, 0), (512 * 1024, 512 * 1024)])
def test_output_is_stored_as_soon_as_it_fills_a_segment(
    sqlite_database: Engine, tmp_path: Path, size: int, stored: int
) -> None:
    assert (FOLDER_PACE.segment_bytes_max, BUCKET_PACE.segment_bytes_max) == (512 * 1024, 4 * 1024**2)
    logs = logs_fixture(sqlite_database, tmp_path)
    writer = logs.writer(*LOG)
    writer.append(b"x" * size, Stream.STDOUT, 0)
    with logs.open(*LOG) as reader:

        def shown() -> bool:
            reader.refresh()
            return reader.size_bytes == stored

        assert eventually(shown)
    writer.close()
    with logs.open(*LOG) as reader:
        assert reader.size_bytes == size


class HeldTail(LiveTail):
    """Stands where a slow Redis would: takes nothing until it may."""

    def __init__(self) -> None:
        self.asked, self.may = threading.Event(), threading.Event()
        self.got: list[tuple[int, int]] = []

    def publish(self, step_id: int, attempt: int, offset: int, data: bytes) -> bool:
        self.asked.set()
        self.may.wait(30)
        self.got.append((offset, len(data)))
        return True


@pytest.mark.parametrize(
    ("more", "got"), [(0, [(0, 1), (1, PENDING_BYTES_MAX)]), (1, [(0, 1), (1 + PENDING_BYTES_MAX, 1)])]
)
def test_four_mebibytes_wait_for_a_slow_redis_and_no_byte_more(more: int, got: list[tuple[int, int]]) -> None:
    tail = HeldTail()
    publisher = LogPublisher(tail, run_id=1, attempt=1)
    publisher.output(5, 0, b"x")
    assert eventually(tail.asked.is_set)
    publisher.output(5, 1, b"x" * (PENDING_BYTES_MAX - 1))
    publisher.output(5, PENDING_BYTES_MAX, b"x")
    if more:
        publisher.output(5, 1 + PENDING_BYTES_MAX, b"x" * more)
    tail.may.set()
    publisher.close()
    assert tail.got == got
