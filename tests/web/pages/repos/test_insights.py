"""What the last runs of a branch say together, as a page and as JSON."""

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from pipelines.plan import Plan
from pipelines.state import PASSED, Outcome, Reason, State
from runner.events import StepFinished, StepStarted
from runner.report_results import CaseName, FailedTest, StepReports, TestResults
from tests.web.conftest import PLAN, REPO, Site, push
from tests.web.pages.test_pages import HOSTILE, assert_no_foreign_markup
from web.operations.repos.insights import RUNS_MAX
from web.pages.repos.insights import durations
from workers import store
from workers.db.models import Run
from workers.db.session import transaction
from workers.store.runs.branch_history import PastRun

PAGE = f"/repos/{REPO}/insights"
EXIT = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1", 1)
FLAKY = CaseName("s", "g", "sometimes <b>")


def run_ended(site: Site, outcome: Outcome, times: tuple[int, int], branch: str = "main", reported: str = "") -> None:
    """A run whose second step ended so."""
    begun = site.begin(push(branch=branch), Plan(jobs=PLAN.jobs))
    with begun.recorder() as record:
        record(StepStarted(2))
        if reported:
            failed = FailedTest(FLAKY, reported, "a.py", 1, "no", "", 5, flaky=True)
            results = TestResults({"passed": 1, reported: 1}, 10, (failed,), ((2500, FLAKY),), "")
            begun.report(StepReports(results), 2)
        record(StepFinished(2, outcome))
    with transaction(site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, outcome)
        own = update(Run).where(Run.id == begun.queued.run_id)
        session.execute(own.values(started_ms=times[0], finished_ms=times[1]))


@pytest.fixture(autouse=True)
def _repo(site: Site) -> None:
    site.add_repo()


def test_a_branch_without_runs_says_so(browser: TestClient) -> None:
    assert "No run of this branch has ended yet." in browser.get(PAGE).text
    assert_no_foreign_markup(browser.get(PAGE, params={"branch": HOSTILE}).text)
    assert browser.get(f"/api{PAGE}").json()["median_ms"] is None


def test_runs_steps_and_tests_are_summed_up(site: Site, browser: TestClient) -> None:
    run_ended(site, PASSED, (0, 10_000), reported="passed")
    run_ended(site, EXIT, (20_000, 30_000), reported="failed")
    run_ended(site, EXIT, (40_000, 50_000))
    run_ended(site, PASSED, (60_000, 90_000))
    run_ended(site, Outcome(State.CANCELED), (91_000, 92_000))
    run_ended(site, PASSED, (0, 1), branch="topic")
    found = browser.get(f"/api{PAGE}").json()
    assert (found["branch"], found["counted"], found["passed"]) == ("main", 4, 2)
    assert (found["median_ms"], found["slow_ms"], found["green_after_ms"]) == (20_000, 30_000, 60_000)
    (step,) = found["failing_steps"]
    assert (step["name"], step["runs"], step["failed"]) == ("test", 4, 2)
    name = {"suite": "s", "class_name": "g", "name": "sometimes <b>"}
    assert found["flaky_tests"] == [{"test": name, "failed": 1, "flaky": 2, "median_ms": 0}]
    assert found["slowest_tests"] == [{"test": name, "failed": 0, "flaky": 0, "median_ms": 2500}]
    text = browser.get(PAGE).text
    assert "<dd>2 of 4</dd>" in text
    assert "<dd>20 s</dd>" in text
    assert f'<a href="/repos/{REPO}/runs/2" aria-label="#2: failed, 10 s">' in text
    assert "sometimes &lt;b&gt;" in text
    assert browser.get(f"/api{PAGE}", params={"branch": "topic"}).json()["counted"] == 1


def test_a_branch_that_is_red_has_no_time_until_green(site: Site, browser: TestClient) -> None:
    run_ended(site, EXIT, (0, 10_000))
    found = browser.get(f"/api{PAGE}").json()
    assert (found["green_after_ms"], found["median_ms"]) == (None, None)


def test_so_many_runs_are_drawn(site: Site, browser: TestClient) -> None:
    for _ in range(2):
        run_ended(site, PASSED, (0, 10_000))
    with transaction(site.engine) as session:
        for _ in range(RUNS_MAX - 1):
            store.queue_run(session, 1, push())
    text = browser.get(PAGE).text
    assert f"The last {RUNS_MAX} runs" in text
    assert browser.get(f"/api{PAGE}").json()["counted"] == 1


def test_a_run_that_has_not_ended_has_the_lowest_bar() -> None:
    drawn = durations("a/b", [PastRun(1, 1, State.RUNNING, 0, 0, None), PastRun(2, 2, State.BROKEN, 0, 0, 50)])
    assert 'aria-label="#1: running"' in drawn
    assert 'height="2"' in drawn
    assert 'class="mark"' in drawn
