"""Slots at rest: one process sends the heartbeat for all of them, and the others hold no connection."""

import os
from collections.abc import Iterator

import pytest
from redis import Redis
from sqlalchemy import Engine, event, text

from tests.support.services import RedisServer, eventually
from workers.db.session import make_engine, reading
from workers.jobs.context import WorkerContext
from workers.jobs.machine.heartbeat import BeatTurn, Heartbeat
from workers.jobs.machine.idle_connections import IDLE_S, IdleConnections
from workers.jobs.process.connections import make_context
from workers.settings import Settings


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def in_child(turn: BeatTurn, pause_s: float) -> bool:
    """Asks in another process of the worker."""
    if not (pid := os.fork()):
        os._exit(turn.is_mine(pause_s))
    return bool(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@pytest.fixture
def turn(clock: Clock) -> BeatTurn:
    return BeatTurn(clock)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork in a process with threads
def test_one_process_of_a_worker_sends_the_heartbeat(turn: BeatTurn) -> None:
    assert turn.is_mine(5)
    assert not in_child(turn, 5)
    assert turn.is_mine(5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_another_takes_the_turn_when_none_comes(turn: BeatTurn, clock: Clock) -> None:
    assert turn.is_mine(5)
    turn.sent()
    clock.now_s += 7.4
    assert not in_child(turn, 5)
    clock.now_s += 0.1
    assert in_child(turn, 5)
    assert not turn.is_mine(5), "it is the other one's now"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_process_that_fails_to_send_loses_its_turn(turn: BeatTurn, clock: Clock) -> None:
    for _ in range(3):
        assert turn.is_mine(5)
        clock.now_s += 5
    assert in_child(turn, 5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_process_without_the_turn_sends_nothing_and_rests(sqlite_database: Engine, turn: BeatTurn) -> None:
    assert in_child(turn, 600)
    statements, rested = list[str](), list[int]()
    event.listen(sqlite_database, "before_cursor_execute", lambda *given: statements.append(given[2]))
    beats = Heartbeat(sqlite_database, "w-1", {}, 2, lease_s=1800)
    beats.share(turn, lambda: rested.append(1))
    beats.start()
    eventually(lambda: rested)
    beats.stop()
    assert statements == []


def test_a_slot_closes_its_connections_when_no_job_has_come_for_a_while(clock: Clock) -> None:
    closed: list[float] = []
    connections = IdleConnections(lambda: closed.append(clock.now_s), clock)
    with connections.in_use():
        clock.now_s += 1_000
        connections.look()
    clock.now_s += IDLE_S - 0.1
    connections.look()
    assert closed == []
    clock.now_s += 0.1
    connections.look()
    assert closed == [clock.now_s]


def test_a_slot_that_has_had_no_job_yet_closes_what_its_start_has_opened() -> None:
    closed: list[int] = []
    IdleConnections(lambda: closed.append(1)).look()
    assert closed == [1]


@pytest.fixture
def own_redis(redis_server: RedisServer) -> Iterator[Redis]:
    with redis_server.client() as client:
        yield client


@pytest.fixture
def worker(settings: Settings, postgres_url: str, redis_server: RedisServer) -> Iterator[WorkerContext]:
    context = make_context(
        settings.model_copy(update={"database_url": postgres_url, "redis_url": redis_server.url}), "w-1"
    )
    yield context
    context.connections.close()


def connections_to(engine: Engine, name: str) -> int:
    with reading(engine) as session:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :name"
        return int(session.execute(text(query), {"name": name}).scalar_one())


@pytest.mark.postgres
def test_an_idle_slot_holds_no_connection(worker: WorkerContext, own_redis: Redis) -> None:
    with reading(worker.database) as session:
        session.execute(text("SET application_name = 'idle slot'"))
        session.commit()
    worker.live.changed(1)
    worker.notify(1)
    observer = make_engine(worker.settings.database)
    assert connections_to(observer, "idle slot") == 1
    assert len(own_redis.client_list()) == 3, "live tail, wake-ups and this test's"
    worker.connections.look()
    eventually(lambda: connections_to(observer, "idle slot") == 0)
    eventually(lambda: len(own_redis.client_list()) == 1)
    assert worker.live.changed(1), "they are opened again"
    observer.dispose()
