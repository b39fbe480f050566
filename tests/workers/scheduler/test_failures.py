"""What fails of the scheduler's work fails alone, is reported, and is tried again."""

import subprocess
from pathlib import Path

import pytest
from sqlalchemy import update

from pipelines.state import State
from tests.support.builders import push
from tests.workers.scheduler.conftest import LEASE_S, SchedulerFixture
from workers import store
from workers.db.models import Cron, Job, Run
from workers.db.session import reading, transaction
from workers.store.jobs import leases
from workers.triggers.crons import NewCron, put_cron


def broken_by(site: SchedulerFixture, statement: str) -> None:
    """Makes one change of the database impossible."""
    with site.database.begin() as connection:
        connection.exec_driver_sql("PRAGMA query_only=OFF")
        connection.exec_driver_sql(f"CREATE TRIGGER broken {statement} BEGIN SELECT RAISE(ABORT, 'a broken row'); END")


def test_a_run_that_cannot_be_changed_does_not_keep_the_jobs_of_others(site: SchedulerFixture) -> None:
    site.claim()
    with transaction(site.database) as session:
        other = store.queue_run(session, site.repo_id, push())
        assert leases.claim(session, other.job_id, "w1", LEASE_S)
    broken_by(site, f"BEFORE UPDATE ON jobs WHEN OLD.run_id = {site.queued.run_id}")
    site.let_the_lease_run_out()
    site.tick()
    assert "Jobs of run 1 cannot be taken from a dead worker" in site.problems["jobs of dead workers"]
    assert "a broken row" in site.problems["jobs of dead workers"]
    assert site.notified == [other.job_id]
    with site.database.begin() as connection:
        connection.exec_driver_sql("PRAGMA query_only=OFF")
        connection.exec_driver_sql("DROP TRIGGER broken")
    site.now_s += 1
    site.tick()
    assert site.problems["jobs of dead workers"] == ""
    assert site.notified == [other.job_id, site.queued.job_id]


@pytest.mark.parametrize("wrong", ["zone", "row"])
def test_a_cron_that_cannot_be_started_delays_no_other(site: SchedulerFixture, wrong: str) -> None:
    with transaction(site.database) as session:
        bad = put_cron(session, site.repo_id, NewCron("bad", "@daily"), now_ms=0).id
        put_cron(session, site.repo_id, NewCron("nightly", "@daily"), now_ms=0)
        if wrong == "zone":
            session.execute(update(Cron).where(Cron.id == bad).values(zone="../../etc/passwd"))
    if wrong == "row":
        broken_by(site, f"BEFORE UPDATE ON crons WHEN OLD.id = {bad}")
    site.tick("crons")
    site.tick("crons")
    assert len(site.notified) == (1 if wrong == "row" else 2)
    assert ("The cron 'bad' of acme/roof cannot be started" in site.problems["crons"]) == (wrong == "row")


@pytest.mark.parametrize("how", ["a file", "in use"])
def test_logs_that_cannot_be_deleted_are_reported_and_keep_no_other(
    site: SchedulerFixture, tmp_path: Path, how: str
) -> None:
    with transaction(site.database) as session:
        runs = [site.queued.run_id, *(store.queue_run(session, site.repo_id, push()).run_id for _ in range(150))]
        session.execute(update(Run).values(finished_ms=1, state=State.PASSED))
        session.execute(update(Job).values(attempt=1))
    folder = tmp_path / "logs" / "0"
    folder.mkdir(parents=True)
    undeletable = folder / str(runs[0])
    if how == "in use":
        undeletable.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "busy", str(undeletable)], check=False).returncode:
            pytest.skip("only root can mount")
    else:
        undeletable.touch()
    try:
        site.tick()
        assert f"The logs of run {runs[0]} cannot be deleted" in site.problems["old logs"]
        with reading(site.database) as session:
            assert [run_id for _, run_id in store.runs_past_retention(session, 30, 1_000)] == [runs[0]]
    finally:
        if how == "in use":
            subprocess.run(["umount", str(undeletable)], check=True)
        else:
            undeletable.unlink()
    site.now_s += 1
    site.tick()
    assert site.problems["old logs"] == ""
    assert site.run().logs_deleted_ms is not None


@pytest.mark.slow
def test_more_logs_that_cannot_be_deleted_than_are_read_at_once_keep_no_other(
    site: SchedulerFixture, tmp_path: Path
) -> None:
    with transaction(site.database) as session:
        runs = [store.queue_run(session, site.repo_id, push()).run_id for _ in range(205)]
        session.execute(update(Run).values(finished_ms=1, state=State.PASSED))
        session.execute(update(Job).values(attempt=1))
    folder = tmp_path / "logs" / "0"
    folder.mkdir(parents=True)
    for run_id in [site.queued.run_id, *runs[:-1]]:
        (folder / str(run_id)).touch()
    site.tick()
    assert "(and 204 more)" in site.problems["old logs"]
    with reading(site.database) as session:
        assert len(store.runs_past_retention(session, 30, 1_000)) == 205


def test_while_redis_is_away_that_is_what_fails(site: SchedulerFixture) -> None:
    site.notified_ago(6)
    site.redis_away = True
    site.tick()
    assert {name for name, problem in site.problems.items() if problem} == {"wake-ups"}
