"""Reports by the API and on pages: failed tests first, new apart from known ones, all tests, and their history."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipelines.state import PASSED, Outcome, State
from runner.events import ProblemLinesFound, StepFinished, StepStarted
from runner.report_results import Annotation, Coverage, StepReports
from tests.support.builders import push
from tests.support.reports import step_reports
from tests.web.conftest import REPO, ClaimedRun, Site
from workers import store
from workers.db.session import transaction

TEST = {"suite": "unit", "class_name": "tests.test_a", "test": "old"}


def end(run: ClaimedRun) -> None:
    with transaction(run.site.engine) as session:
        store.finish_job(session, run.claim.job_id, run.claim.attempt, PASSED)


@pytest.fixture
def run(site: Site) -> ClaimedRun:
    """The second run: on a feature branch, after one of the default branch."""
    site.add_repo()
    before = site.begin(push(sha="b" * 40))
    before.report(step_reports("one two fresh", "old", Coverage(50, 100)))
    end(before)
    begun = site.begin(push(branch="feature", sha="c" * 40))
    begun.report(step_reports("one two", "old fresh", Coverage(60, 100)))
    return begun


def got(client: TestClient, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/repos/{REPO}/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_new_failures_come_before_known_ones(program: TestClient, run: ClaimedRun) -> None:
    found = got(program, "runs/2/reports")
    assert [(each["name"], each["known"]) for each in found["failed"]] == [("fresh", False), ("old", True)]
    first = found["failed"][0]
    assert (first["file"], first["line"], first["message"]) == ("tests/test_a.py", 11, "assert fresh")
    assert (first["step"], first["step_id"]) == (run.step(1).name, run.steps[1])
    assert found["counts"] == {"passed": 2, "failed": 2}
    assert found["coverage"] == {"covered_lines": 60, "total_lines": 100, "percent": 60.0, "change": 10.0}
    assert (found["compared_with"], found["flaky"], found["warnings"]) == (1, [], [])
    assert {each["name"] for each in found["slowest"]} == {"one", "two", "old", "fresh"}


def test_without_a_run_to_compare_with_it_is_not_known_what_is_new(program: TestClient, run: ClaimedRun) -> None:
    found = got(program, "runs/1/reports")
    assert [(each["name"], each["known"]) for each in found["failed"]] == [("old", None)]
    assert (found["compared_with"], found["coverage"]["change"]) == (None, None)


def test_a_run_without_reports_has_none(program: TestClient, site: Site) -> None:
    site.add_repo()
    site.begin()
    found = got(program, "runs/1/reports")
    assert (found["counts"], found["failed"], found["coverage"]) == ({}, [], None)
    assert got(program, "runs/1/tests") == {"tests": [], "next_after": None}


def test_all_tests_are_listed_searched_and_paged(program: TestClient, run: ClaimedRun) -> None:
    run.report(step_reports("three"), step=2)
    listed = got(program, "runs/2/tests")
    assert [each["name"] for each in listed["tests"]] == ["one", "two", "old", "fresh", "three"]
    assert listed["tests"][0] == {
        "suite": "unit", "class_name": "tests.test_a", "name": "one", "job": "", "cell": {},
        "step": run.step(1).name, "state": "passed", "file": "", "duration_ms": 10,
    } | {"job": listed["tests"][0]["job"]}  # fmt: skip
    names, after = [], ""
    while after is not None:
        page = got(program, "runs/2/tests", limit=2, after=after)
        assert len(page["tests"]) <= 2
        names += [each["name"] for each in page["tests"]]
        after = page["next_after"]
    assert names == ["one", "two", "old", "fresh", "three"]
    assert [each["name"] for each in got(program, "runs/2/tests", q="TEST_A fr")["tests"]] == ["fresh"]
    assert [each["name"] for each in got(program, "runs/2/tests", state="failed")["tests"]] == ["old", "fresh"]
    assert got(program, "runs/2/tests", q="nothing")["tests"] == []


def test_a_position_that_is_none_is_refused(program: TestClient, run: ClaimedRun) -> None:
    for after in ("x", "1", "1.x", "².1"):
        answer = program.get(f"/api/repos/{REPO}/runs/2/tests", params={"after": after})
        assert (answer.status_code, "'next_after'" in answer.text) == (422, True)


def test_a_list_whose_blob_is_gone_says_so(program: TestClient, site: Site, run: ClaimedRun) -> None:
    site.services.blobs.delete(list(site.services.blobs.names("artifacts")))
    answer = program.get(f"/api/repos/{REPO}/runs/2/tests")
    assert (answer.status_code, answer.json()["error"]) == (410, "The list of all tests is gone from the blob store.")
    assert got(program, "runs/2/reports")["failed"], "what failed is in rows"


def test_the_page_of_a_run_opens_with_the_failed_tests(browser: TestClient, run: ClaimedRun) -> None:
    page = browser.get(f"/repos/{REPO}/runs/2").text
    new, known = page.index("New failures"), page.index("Known failures")
    assert new < page.index("fresh") < known < page.index("assert old")
    for part in (
        "tests/test_a.py:11",
        "4 tests",
        "2 failed",
        "Coverage: 60.0 % of 100 lines",
        "+10.0 since",
        "Slowest",
    ):
        assert part in page, part
    run.report(step_reports("one two old", "fresh"))
    assert "Flaky: 1 passed after they had failed" in browser.get(f"/repos/{REPO}/runs/2").text
    run.report(StepReports(warnings=("the report 'a.xml' cannot be read: it is hostile",)))
    page = browser.get(f"/repos/{REPO}/runs/2").text
    assert "cannot be read: it is hostile" in page
    assert "New failures" not in page


def test_many_failures_are_a_link(browser: TestClient, site: Site) -> None:
    site.add_repo()
    site.begin().report(step_reports("", " ".join(f"test{number}" for number in range(60))))
    page = browser.get(f"/repos/{REPO}/runs/1").text
    assert "60 failed tests in all" in page
    assert ("test49" in page, "test50" in page) == (True, False)


def test_what_a_test_writes_is_no_html(browser: TestClient, site: Site) -> None:
    site.add_repo()
    site.begin().report(step_reports("", "&lt;script&gt;alert(1)&lt;/script&gt;"))
    for path in ("runs/1", "runs/1/tests"):
        page = browser.get(f"/repos/{REPO}/{path}").text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page


def test_the_pages_of_all_tests_and_of_a_history(browser: TestClient, run: ClaimedRun) -> None:
    page = browser.get(f"/repos/{REPO}/runs/2/tests", params={"q": "fresh"}).text
    assert ("fresh</code>" in page, "two</code>" in page) == (True, False)
    run.report(step_reports(" ".join(f"t{number}" for number in range(201))))
    assert "More" in browser.get(f"/repos/{REPO}/runs/2/tests").text
    assert "No test is like this" in browser.get(f"/repos/{REPO}/runs/2/tests?q=none").text
    history = browser.get(f"/repos/{REPO}/tests/history", params=TEST).text
    assert ("#1" in history, "assert old" in history) == (True, True)
    assert "No run that is still here" in browser.get(f"/repos/{REPO}/tests/history?test=none").text


def test_problem_lines_are_shown_at_the_failed_step(browser: TestClient, site: Site) -> None:
    site.add_repo()
    run = site.begin()
    with run.recorder() as recorder:
        recorder(StepStarted(1))
        recorder(ProblemLinesFound(1, (Annotation("error", "src/app.c", 12, 5, "expected <b>", 7),)))
        recorder(StepFinished(1, Outcome(State.FAILED, exit_code=1)))
    page = browser.get(f"/repos/{REPO}/runs/1").text
    assert "<code>src/app.c:12:5</code>: <b>error</b>: expected &lt;b&gt;" in page
    assert f"?step={run.steps[1]}#L7" in page
    assert run.step(1).facts["annotations"][0]["line"] == 12
