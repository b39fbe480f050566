"""The scheduler: finds silent workers, rings for jobs that wait unheard, and cleans up."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import ConnectionError as RedisAwayError
from sqlalchemy import Engine, update
from structlog.testing import capture_logs

from pipelines.state import PASSED, State
from runner.events import Stream
from tests.support.builders import push
from tests.support.services import eventually
from workers import store
from workers.db.models import Job, LoginSession, Run
from workers.db.session import downgrade, make_engine, now_ms, reading, transaction, upgrade
from workers.logs import DiskLogs
from workers.queue.celery_app import queue_length
from workers.scheduler.scheduler import Duties, clean, run_scheduler, tick
from workers.settings import Settings
from workers.store import leases
from workers.streaming import redis_stream
from workers.streaming.redis_stream import LiveTail
from workers.triggers.crons import NewCron, put_cron


class World:
    """A database with a job, and a scheduler whose bell is written down."""

    def __init__(self, database: Engine, redis_url: str, folder: Path) -> None:
        self.database = database
        self.rung: list[int] = []
        self.answers = True
        self.waiting = 0
        self.redis_away = False
        self.redis = redis_stream.connect(redis_url)
        self.logs = DiskLogs(folder / "logs")
        self.duties = Duties(
            engine=database,
            ring=self._ring,
            waiting=self._waiting,
            live=LiveTail(self.redis),
            logs=self.logs,
            attempts_max=2,
            retention_days=30,
        )
        with transaction(database) as session:
            self.repo_id = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof")).id
            self.queued = store.queue_run(session, self.repo_id, push())

    def _ring(self, job_id: int) -> bool:
        self.rung.append(job_id)
        return self.answers

    def _waiting(self) -> int:
        if self.redis_away:
            raise RedisAwayError
        return self.waiting

    def rung_ago(self, seconds: int) -> None:
        with transaction(self.database) as session:
            session.execute(update(Job).values(rung_ms=now_ms() - seconds * 1000))

    def claim(self) -> leases.Claim:
        with transaction(self.database) as session:
            claim = leases.claim(session, self.queued.job_id, "w1", 60)
        assert claim is not None
        return claim

    def let_the_lease_run_out(self) -> None:
        with transaction(self.database) as session:
            session.execute(update(Job).values(lease_until_ms=now_ms() - 1))

    def run(self) -> Run:
        with reading(self.database) as session:
            run = store.run_by_id(session, self.queued.run_id)
        assert run is not None
        return run


@pytest.fixture
def world(sqlite_database: Engine, redis_url: str, tmp_path: Path) -> Iterator[World]:
    world = World(sqlite_database, redis_url, tmp_path)
    yield world
    world.redis.close()


def test_a_job_that_was_just_rung_is_left_in_peace(world: World) -> None:
    tick(world.duties)
    assert world.rung == []


def test_a_job_whose_message_was_lost_is_rung_again_once(world: World) -> None:
    world.rung_ago(6)
    tick(world.duties)
    tick(world.duties)
    assert world.rung == [world.queued.job_id]


def test_while_messages_wait_nobody_is_rung_for_again_until_they_expire(world: World) -> None:
    world.waiting = 3
    world.rung_ago(30)
    tick(world.duties)
    assert world.rung == []
    world.rung_ago(61)
    tick(world.duties)
    assert world.rung == [world.queued.job_id]


def test_a_bell_that_does_not_ring_is_tried_again_at_the_next_tick(world: World) -> None:
    with transaction(world.database) as session:
        store.queue_run(session, world.repo_id, push())
    world.rung_ago(6)
    world.answers = False
    tick(world.duties)
    assert world.rung == [world.queued.job_id]
    world.answers = True
    tick(world.duties)
    assert len(world.rung) == 3


def test_a_redis_that_is_away_is_waited_for(world: World) -> None:
    world.rung_ago(6)
    world.redis_away = True
    tick(world.duties)
    assert world.rung == []
    world.redis_away = False
    tick(world.duties)
    assert world.rung == [world.queued.job_id]


def test_the_job_of_a_silent_worker_is_queued_again_and_rung_in_the_same_tick(world: World) -> None:
    world.claim()
    tick(world.duties)
    assert world.rung == []
    world.let_the_lease_run_out()
    tick(world.duties)
    assert world.rung == [world.queued.job_id]
    assert world.redis.xlen(redis_stream.run_key(world.queued.run_id)) == 1


def test_a_job_that_lost_too_many_workers_is_broken_and_rung_no_more(world: World) -> None:
    for _ in range(2):
        world.claim()
        world.let_the_lease_run_out()
        tick(world.duties)
    assert world.run().state is State.BROKEN
    assert world.rung == [world.queued.job_id]


def test_a_cron_that_is_due_starts_a_run_and_rings_once(world: World) -> None:
    with transaction(world.database) as session:
        put_cron(session, world.repo_id, NewCron("nightly", "@daily"), now_ms=0)
    tick(world.duties)
    tick(world.duties)
    assert world.rung == [world.queued.job_id + 1]
    assert world.redis.xlen(redis_stream.run_key(world.queued.run_id + 1)) == 1


def test_logs_are_deleted_when_their_time_is_over_and_not_before(world: World) -> None:
    claim = world.claim()
    writer = world.logs.writer(claim.run_id, claim.job_id, 1, 1)
    writer.append(b"hello", Stream.STDOUT, 0)
    writer.close()
    with transaction(world.database) as session:
        store.finish_job(session, claim.job_id, claim.attempt, PASSED)

    def stored() -> int:
        with world.logs.open(claim.run_id, claim.job_id, 1, 1) as reader:
            return reader.size_bytes

    for days, left in ((29, 5), (31, 0)):
        with transaction(world.database) as session:
            session.execute(update(Run).values(finished_ms=now_ms() - days * 86_400_000))
        clean(world.duties)
        assert stored() == left
    assert world.run().logs_deleted_ms is not None
    with reading(world.database) as session:
        assert store.runs_past_retention(session, 30) == []


def test_logins_whose_time_is_over_are_dropped(world: World) -> None:
    with transaction(world.database) as session:
        user = store.add_user(session, "ada")
        store.add_session(session, user.id, "old", lifetime_s=-1)
        store.add_session(session, user.id, "new", lifetime_s=60)
    clean(world.duties)
    with reading(world.database) as session:
        assert [row.token_hash for row in session.query(LoginSession)] == ["new"]


@pytest.mark.slow
def test_a_scheduler_waits_for_a_database_that_cannot_be_used_yet(tmp_path: Path, redis_url: str) -> None:
    settings = Settings(data_dir=tmp_path, redis_url=redis_url)
    engine = make_engine(settings.database)
    stop = threading.Event()
    thread = threading.Thread(target=run_scheduler, args=(settings, stop))
    with capture_logs() as logs, redis_stream.connect(redis_url) as client:
        thread.start()
        eventually(lambda: any("database" in entry["event"] for entry in logs))
        upgrade(engine)
        with transaction(engine) as session:
            repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof"))
            store.queue_run(session, repo.id, push())
            session.execute(update(Job).values(rung_ms=None))
        eventually(lambda: queue_length(client) == 1)
        downgrade(engine, "base")
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    engine.dispose()


def test_logs_are_kept_for_ever_where_the_settings_say_so(world: World) -> None:
    with transaction(world.database) as session:
        session.execute(update(Run).values(finished_ms=1, state=State.PASSED))
    clean(replace(world.duties, retention_days=0))
    assert world.run().logs_deleted_ms is None


@pytest.mark.slow
def test_of_two_schedulers_one_rings_and_the_other_takes_over_when_it_stops(settings: Settings) -> None:
    engine = make_engine(settings.database)
    with transaction(engine) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof"))
        store.queue_run(session, repo.id, push())
        session.execute(update(Job).values(rung_ms=None))
    stops = [threading.Event(), threading.Event()]
    threads = [threading.Thread(target=run_scheduler, args=(settings, stop)) for stop in stops]
    for thread in threads:
        thread.start()
    with redis_stream.connect(settings.redis_url) as client:
        eventually(lambda: queue_length(client) == 1)
        for stop, thread in zip(stops, threads, strict=True):
            stop.set()
            thread.join(10)
            assert not thread.is_alive()
            with transaction(engine) as session:
                session.execute(update(Job).values(rung_ms=None))
                client.delete("headway:headway")
            if stop is stops[0]:
                eventually(lambda: queue_length(client) == 1)
        assert queue_length(client) == 0
    engine.dispose()
