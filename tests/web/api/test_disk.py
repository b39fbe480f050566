"""What uses how much: measured from rows, and shown to administrators by API, page, metrics and command."""

from pathlib import Path

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from runner.events import Stream
from tests.web.cli.command import Headway
from tests.web.conftest import REPO, Site
from web.server.metrics import InstallationMetrics
from web.server.prometheus import exposition
from workers.db.models import LogSegment, StoredLog
from workers.db.session import make_engine, reading, transaction, upgrade
from workers.disk import MEASURE_EVERY_S
from workers.scheduler.sizes import SharedSizes, measure
from workers.settings import Settings
from workers.store.processes.disk_reports import put_report

MACHINE = {
    "host": "host-1", "folder": "/data", "total_bytes": 1000, "free_bytes": 100, "high_percent": 85, "low_percent": 75,
    "bytes": {"mirrors": 300, "a kind of a newer version": 1}, "mirrors": {"1": 300, "99": 5}, "freed_bytes": 7,
    "problem": "There is no engine.", "of a newer version": 1,
}  # fmt: skip


def log(site: Site) -> None:
    run = site.begin()
    writer = site.services.logs.writer(run.queued.run_id, run.queued.job_id, 1, 1)
    writer.append(b"hello\n" * 1000, Stream.STDOUT, 0)
    writer.close()


def test_the_api_says_what_was_measured(site: Site, program: TestClient) -> None:
    assert program.get("/api/disk").json() == {
        "measured_ms": None,
        "bytes": {},
        "rows": {},
        "machines": [],
        "repos": [],
    }
    site.add_repo()
    log(site)
    with transaction(site.engine) as session:
        session.add(StoredLog(key="f" * 32, step_number=1, attempt=1, created_ms=1))
        put_report(session, "host-1:/data", MACHINE)
    measure(site.engine)
    found = program.get("/api/disk").json()
    with reading(site.engine) as session:
        stored = session.scalar(select(func.sum(LogSegment.blob_bytes)))
    assert found["bytes"]["logs"] == stored
    assert found["bytes"]["database"] > 100_000
    assert (found["rows"]["runs"], found["rows"]["stored_logs"]) == (1, 2)
    assert found["repos"] == [{"name": REPO, "runs": 1, "log_bytes": stored, "mirror_bytes": 300, "cache_bytes": 0}]
    assert found["machines"][0]["bytes"]["mirrors"] == 300


def test_the_page_shows_it(site: Site, browser: TestClient) -> None:
    text = browser.get("/disk").text
    assert "Not measured yet" in text
    assert "No worker has reported" in text
    site.add_repo()
    with transaction(site.engine) as session:
        put_report(session, "host-1:/data", MACHINE)
    measure(site.engine)
    text = browser.get("/disk").text
    assert "it is 90 % full. Above 85 % its workers make room, down to 75 %" in text
    assert "There is no engine." in text
    assert "Rows of <code>runs</code>" in text
    assert 'href="/disk"' in browser.get("/workers").text


def test_the_metrics_have_it(site: Site) -> None:
    with transaction(site.engine) as session:
        put_report(session, "host-1:/data", MACHINE)
    measure(site.engine)
    text = exposition(InstallationMetrics(site.engine).families())
    assert 'headway_disk_bytes{kind="mirrors",machine="host-1:/data"} 300\n' in text
    assert 'headway_disk_bytes{kind="logs",machine=""} 0\n' in text


def test_it_is_measured_every_ten_minutes_and_seldom_where_that_takes_long(site: Site) -> None:
    now_s = [0.0]
    took_s = 0.0

    def clock() -> float:
        now_s[0] += took_s
        return now_s[0]

    def measured() -> int:
        with reading(site.engine) as session:
            return session.scalar(select(func.count()).select_from(StoredLog)) or 0

    sizes = SharedSizes(site.engine, clock)
    assert (sizes(), measured()) == ("", 0)
    assert sizes._due_s == MEASURE_EVERY_S
    now_s[0] = MEASURE_EVERY_S - 1
    sizes()
    assert sizes._due_s == MEASURE_EVERY_S
    took_s = 10.0
    sizes()
    assert sizes._due_s == MEASURE_EVERY_S + 19 + 10 * 200


@pytest.mark.slow
def test_the_command_shows_it_and_removes_what_is_too_old(tmp_path: Path) -> None:
    headway = Headway(tmp_path / "command")
    headway.folder.mkdir(mode=0o700)
    engine = make_engine(Settings(data_dir=headway.folder).database)
    upgrade(engine)
    assert headway.ok("disk").startswith("The database and the logs are not measured yet")
    with transaction(engine) as session:
        put_report(session, "host-1:/data", MACHINE)
    measure(engine)
    said = headway.ok("disk")
    assert "\t100 B\tfree of 1000 B: 90 % full\n" in said
    assert '"free_bytes": 100' in headway.ok("disk", "--json")
    assert headway.ok("disk", "clean", "--dry-run") == "0 runs and 0 deliveries would be removed.\n"
    assert headway.ok("disk", "clean") == "Removed 0 runs and 0 deliveries.\n"
    engine.dispose()
