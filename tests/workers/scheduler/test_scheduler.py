"""The scheduler: it takes jobs from dead workers, sends lost wake-ups again, and deletes what has expired."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from pipelines.state import PASSED, State
from runner.events import Stream
from tests.support.builders import push
from tests.support.notices import notices
from tests.support.services import eventually
from tests.workers.scheduler.conftest import SchedulerFixture
from workers import store
from workers.back_off import BackOff
from workers.db.models import AuditEntry, Job, LoginSession, Run
from workers.db.session import db_now_ms, downgrade, make_engine, now_ms, reading, transaction, upgrade
from workers.queue.wakeups import queue_length
from workers.scheduler.old_logs_and_logins import delete_expired_logins, delete_expired_logs, delete_old_audit_entries
from workers.scheduler.scheduler import run_scheduler
from workers.settings import Settings
from workers.store.accounts import audit
from workers.streaming import redis_stream
from workers.triggers.crons import NewCron, put_cron


def test_a_job_with_a_recent_wake_up_gets_no_other(site: SchedulerFixture) -> None:
    site.tick()
    assert site.notified == []


def test_a_job_whose_message_was_lost_gets_one_more_wake_up(site: SchedulerFixture) -> None:
    site.notified_ago(6)
    site.tick()
    site.tick()
    assert site.notified == [site.queued.job_id]


def test_while_messages_wait_no_wake_up_is_sent_again_until_they_expire(site: SchedulerFixture) -> None:
    site.waiting = 3
    site.notified_ago(30)
    site.tick()
    assert site.notified == []
    site.notified_ago(61)
    site.tick()
    assert site.notified == [site.queued.job_id]


def test_a_wake_up_that_could_not_be_sent_is_tried_again_at_the_next_tick(site: SchedulerFixture) -> None:
    with transaction(site.database) as session:
        store.queue_run(session, site.repo_id, push())
    site.notified_ago(6)
    site.answers = False
    site.tick()
    assert site.notified == [site.queued.job_id]
    site.answers = True
    site.tick()
    assert len(site.notified) == 3


@pytest.mark.slow
def test_after_redis_was_away_the_wake_up_is_sent(site: SchedulerFixture) -> None:
    site.notified_ago(6)
    site.redis_away = True
    site.tick()
    assert site.notified == []
    site.redis_away = False
    site.tick()
    assert site.notified == [site.queued.job_id]


def test_the_job_of_a_dead_worker_is_queued_again_and_woken_for_in_the_same_tick(site: SchedulerFixture) -> None:
    site.claim()
    site.tick()
    assert site.notified == []
    site.let_the_lease_run_out()
    with notices(site.redis, redis_stream.run_channel(site.queued.run_id)) as published:
        site.tick()
        assert site.notified == [site.queued.job_id]
        assert published() == 1


def test_a_job_that_lost_too_many_workers_is_broken_and_gets_no_more_wake_ups(site: SchedulerFixture) -> None:
    for _ in range(2):
        site.claim()
        site.let_the_lease_run_out()
        site.tick()
    assert site.run().state is State.BROKEN
    assert site.notified == [site.queued.job_id]
    with reading(site.database) as session:
        assert store.counters(session)[store.LEASES_LOST] == 2


def test_a_cron_that_is_due_starts_a_run_and_sends_one_wake_up(site: SchedulerFixture) -> None:
    with transaction(site.database) as session:
        put_cron(session, site.repo_id, NewCron("nightly", "@daily"), now_ms=0)
    with notices(site.redis, redis_stream.run_channel(site.queued.run_id + 1)) as published:
        site.tick()
        site.tick()
        assert site.notified == [site.queued.job_id + 1]
        assert published() == 1


def test_logs_are_deleted_after_the_retention_time_and_not_before(site: SchedulerFixture) -> None:
    claim = site.claim()
    writer = site.logs.writer(claim.run_id, claim.job_id, 1, 1)
    writer.append(b"hello", Stream.STDOUT, 0)
    writer.close()
    with transaction(site.database) as session:
        store.finish_job(session, claim.job_id, claim.attempt, PASSED)

    def stored() -> int:
        with site.logs.open(claim.run_id, claim.job_id, 1, 1) as reader:
            return reader.size_bytes

    for days, left in ((29, 5), (31, 0)):
        with transaction(site.database) as session:
            session.execute(update(Run).values(finished_ms=now_ms() - days * 86_400_000))
        delete_expired_logs(site.database, site.logs, 30, BackOff())
        assert stored() == left
    assert site.run().logs_deleted_ms is not None
    with reading(site.database) as session:
        assert store.runs_past_retention(session, 30) == []


def test_expired_logins_are_deleted(site: SchedulerFixture) -> None:
    with transaction(site.database) as session:
        user = store.add_user(session, "ada")
        store.add_session(session, user.id, "old", lifetime_s=-1)
        store.add_session(session, user.id, "new", lifetime_s=60)
    delete_expired_logins(site.database)
    with reading(site.database) as session:
        assert [row.token_hash for row in session.query(LoginSession)] == ["new"]


@pytest.mark.stress
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


def test_logs_are_kept_for_ever_where_the_settings_say_so(site: SchedulerFixture) -> None:
    with transaction(site.database) as session:
        session.execute(update(Run).values(finished_ms=1, state=State.PASSED))
    delete_expired_logs(site.database, site.logs, 0, BackOff())
    assert site.run().logs_deleted_ms is None


def test_old_entries_of_the_audit_log_are_deleted_where_the_settings_say_so(site: SchedulerFixture) -> None:
    with transaction(site.database) as session:
        for at_ms in (1, db_now_ms(session)):
            session.add(AuditEntry(at_ms=at_ms, actor="", source="", action="", target="", detail=""))
    counted = []
    for days in (0, 365):
        delete_old_audit_entries(site.database, days)
        with reading(site.database) as session:
            counted.append(len(audit.entries(session)))
    assert counted == [2, 1]


@pytest.mark.stress
def test_of_two_schedulers_one_leads_and_the_other_takes_over_when_it_stops(settings: Settings) -> None:
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
