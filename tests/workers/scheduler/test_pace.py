"""How often the scheduler looks: seldom while there is nothing to do, and at once when there is news."""

import threading

import pytest
from sqlalchemy import update

from pipelines.state import State
from tests.support.services import eventually
from tests.workers.scheduler.conftest import SchedulerFixture
from workers.db.models import Job
from workers.db.session import reading, transaction
from workers.scheduler.pace import BUSY_FOR_S, Pace, listen_for_news
from workers.store.jobs import leases
from workers.streaming import redis_stream


class Clock:
    """A clock that a test moves."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def waiting(pace: Pace, *pauses: float | None) -> threading.Thread:
    thread = threading.Thread(target=pace.wait, args=pauses)
    thread.start()
    return thread


def test_it_is_busy_for_a_while_after_the_start_and_after_news() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.busy
    clock.now_s = BUSY_FOR_S
    assert not pace.busy
    pace.news()
    assert pace.busy
    clock.now_s = 2 * BUSY_FOR_S
    assert not pace.busy


@pytest.mark.parametrize("at_rest_s", [None, 60.0])
def test_at_rest_news_and_the_end_wake_who_waits(at_rest_s: float | None) -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now_s = BUSY_FOR_S
    for wake in (pace.news, pace.end):
        clock.now_s += BUSY_FOR_S
        thread = waiting(pace, 0.0, at_rest_s)
        thread.join(0.05)
        assert thread.is_alive()
        wake()
        thread.join(10)
        assert not thread.is_alive()


def test_while_busy_the_short_pause_counts() -> None:
    pace = Pace(Clock())
    pace.wait(0.0, None)


def test_a_notice_through_redis_is_news(redis_url: str) -> None:
    clock, stop = Clock(), threading.Event()
    pace = Pace(clock)
    with redis_stream.connect(redis_url) as redis:
        thread = threading.Thread(target=listen_for_news, args=(redis, pace, stop), daemon=True)
        thread.start()
        live = redis_stream.LiveTail(redis)

        def heard() -> bool:
            clock.now_s += BUSY_FOR_S
            live.changed(1)
            stop.wait(0.02)
            return pace.busy

        eventually(heard)
        stop.set()
        live.changed(1)
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("changes", "to_do"),
    [
        ({}, True),
        ({"state": State.RUNNING, "ready": False}, True),
        ({"ready": False, "not_before_ms": 1}, True),
        ({"ready": False}, False),
        ({"state": State.PASSED, "finished_ms": 1}, False),
    ],
)
def test_jobs_that_wait_for_a_person_or_for_others_leave_it_at_rest(
    site: SchedulerFixture, changes: dict[str, object], to_do: bool
) -> None:
    with transaction(site.database) as session:
        session.execute(update(Job).values(**changes) if changes else update(Job).values(rung_ms=None))
    with reading(site.database) as session:
        assert leases.any_job_to_do(session) is to_do
