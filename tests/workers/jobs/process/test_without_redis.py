"""While Redis is away, processes of a worker find jobs themselves, one at a time."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pipelines.state import State
from tests.support.services import RedisServer, eventually
from tests.workers.jobs.test_two_workers import BUILD, PATIENCE_S, STEP, Site
from workers.jobs.process.without_redis import SILENT_LOOKS, LooksWithoutRedis, Turn, redis_answers
from workers.settings import Settings
from workers.streaming.redis_stream import connect


class Jobs:
    """Jobs that wait, a Redis that answers or not, and what was run."""

    def __init__(self, *waiting: int, answers: bool = False) -> None:
        self.waiting, self.answers, self.ran = list(waiting), answers, list[int]()
        self.turn = Turn()
        self.looks = LooksWithoutRedis(lambda: self.answers, self._find, self._run, self.turn)

    def _find(self) -> int | None:
        return self.waiting[0] if self.waiting else None

    def _run(self, job_id: int) -> None:
        self.ran.append(self.waiting.pop(0))
        assert self.ran[-1] == job_id
        if job_id < 0:
            raise OSError("no such luck")

    def look(self, times: int = SILENT_LOOKS) -> list[int]:
        for _ in range(times):
            self.looks.look()
        return self.ran


def test_jobs_are_run_one_after_the_other_once_redis_has_been_silent_for_long_enough() -> None:
    jobs = Jobs(1, 2)
    assert jobs.look(SILENT_LOOKS - 1) == []
    assert jobs.look(1) == [1, 2]


def test_while_redis_answers_nothing_is_looked_for_and_one_answer_starts_the_count_again() -> None:
    jobs = Jobs(1, answers=True)
    assert jobs.look(9) == []
    jobs.answers = False
    jobs.look(SILENT_LOOKS - 1)
    jobs.answers = True
    jobs.look(1)
    jobs.answers = False
    assert jobs.look(SILENT_LOOKS - 1) == []


def test_a_process_that_runs_a_job_looks_for_no_other() -> None:
    jobs = Jobs(1)
    with jobs.turn.taken(0) as mine:
        assert mine
        with jobs.turn.taken(0) as again:
            assert not again
        assert jobs.look(5) == []
    assert jobs.look(1) == [1]


def test_what_fails_is_tried_again_at_the_next_look() -> None:
    jobs = Jobs(-1, 2)
    assert jobs.look() == [-1]
    assert jobs.look(1) == [-1, 2]


def test_a_job_that_could_not_be_claimed_is_left_until_the_next_look() -> None:
    ran: list[int] = []
    looks = LooksWithoutRedis(lambda: False, lambda: 1, ran.append, Turn())
    for _ in range(SILENT_LOOKS + 1):
        looks.look()
    assert ran == [1, 1]


def test_a_process_that_ends_waits_for_its_job_and_starts_no_other() -> None:
    jobs = Jobs(1)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with jobs.turn.taken(0):
            held.set()
            free.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    jobs.turn.end(0)  # it does not wait for longer than it may
    free.set()
    jobs.turn.end(30)
    holder.join(30)
    assert jobs.look(9) == []


def test_a_redis_that_is_away_does_not_answer(redis_url: str) -> None:
    here, away = connect(redis_url), connect("redis://127.0.0.1:1/0")
    assert (redis_answers(here), redis_answers(away)) == (True, False)
    here.close()
    away.close()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.mark.engine
@pytest.mark.stress
def test_a_run_that_is_queued_while_redis_is_away_runs_to_its_end_and_once(
    settings: Settings, sqlite_database: Engine, tmp_path: Path, own_redis: RedisServer
) -> None:
    site = Site(settings.model_copy(update={"redis_url": own_redis.url}), sqlite_database, tmp_path)
    site.start("", tmp_path / "worker.log")
    eventually(site.alive, PATIENCE_S)
    first = site.push({"build": BUILD})
    assert site.ended(first).state is State.PASSED
    own_redis.stop()
    away = [site.push({"a": BUILD, "b": "depends_on: [a]\n" + BUILD}) for _ in range(3)]
    for run_id in away:
        assert site.ended(run_id).state is State.PASSED
    long = site.push({"long": STEP.format(commands="[sleep 8]")})
    eventually(lambda: site.run(long).state is State.RUNNING, PATIENCE_S)
    own_redis.start()
    last = site.push({"last": BUILD})
    assert site.ended(last).state is State.PASSED
    assert site.ended(long).state is State.PASSED
    assert {job.attempt for run_id in (*away, long, last) for job in site.jobs(run_id).values()} == {1}
    site.stop()
    assert site.alive() == []
