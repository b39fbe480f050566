"""``headway tests``: which tests of a run failed, are flaky or slow, and its coverage."""

from collections import Counter

import pytest

from pipelines.state import PASSED
from runner.report_results import Coverage
from tests.support.builders import job_plan, plan, push
from tests.support.reports import step_reports
from tests.web.cli.command import URL, Headway
from web.cli.runs.tests import _lines
from web.operations.reports.run_reports import RunReports
from workers import store
from workers.blobs import open_blobs
from workers.db.session import make_engine, transaction
from workers.reports.storage import StoredReports
from workers.settings import Settings
from workers.store.jobs import leases

REPORTS = (
    (push(sha="b" * 40), step_reports("one two fresh", "old", Coverage(50, 100))),
    (push(branch="feature", sha="c" * 40), step_reports("one two", "old fresh", Coverage(60, 100))),
    (push(sha="d" * 40), None),
)


@pytest.fixture
def harbour(headway: Headway) -> Headway:
    """An installation with a repository of three runs: the first two have reports."""
    headway.ok("repo", "add", URL, "--name", "acme/harbour")
    settings = Settings(data_dir=headway.folder)
    engine = make_engine(settings.database)
    for trigger, reports in REPORTS:
        with transaction(engine) as session:
            repo = store.repo_by_name(session, "acme/harbour")
            assert repo is not None
            repo_id, job_id = repo.id, store.queue_run(session, repo.id, trigger).job_id
            claim = leases.claim(session, job_id, "w1", 15)
            assert claim is not None
            store.plan_run(session, job_id, claim.attempt, plan(job_plan("build")))
        if reports:
            StoredReports(engine, open_blobs(settings), claim, repo_id).keep(1, reports)
        with transaction(engine) as session:
            store.finish_job(session, claim.job_id, claim.attempt, PASSED)
    engine.dispose()
    return headway


@pytest.mark.slow
def test_new_failures_come_before_known_ones_and_the_sums_last(harbour: Headway) -> None:
    lines = harbour.ok("tests", "acme/harbour", "2").splitlines()
    failed = [line.split("\t") for line in lines[:2]]
    assert [(line[0], line[4].rpartition(" ")[2]) for line in failed] == [("new", "fresh"), ("known", "old")]
    assert failed[0][1:4] == ["10", "build", "step-1"]
    assert failed[0][5:] == ["tests/test_a.py:11", "assert fresh"]
    assert {line.split("\t")[0] for line in lines[2:-2]} == {"slow"}
    assert lines[-2:] == ["tests\t4, 2 failed, 0 skipped", "coverage\t60.00 % (+10.00)"]


@pytest.mark.slow
def test_without_a_run_to_compare_with_a_test_has_failed(harbour: Headway) -> None:
    lines = harbour.ok("tests", "acme/harbour", "1").splitlines()
    assert (lines[0].split("\t")[0], lines[-1]) == ("failed", "coverage\t50.00 %")


@pytest.mark.slow
def test_a_run_without_reports_has_no_lines(harbour: Headway) -> None:
    assert harbour.ok("tests", "acme/harbour", "3") == ""
    assert "no run" in harbour.refused("tests", "acme/harbour", "4").lower()


def test_warnings_are_lines_that_cannot_move_the_cursor() -> None:
    found = RunReports(counts=Counter(passed=1), warnings=["a\tb\x1b[2J"])
    assert list(_lines(found)) == ["warning\ta\\x09b\\x1b[2J", "tests\t1, 0 failed, 0 skipped"]
