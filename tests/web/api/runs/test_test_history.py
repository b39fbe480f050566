"""The history of a test by the API and on its page: runs in which it passed, too, within a limit."""

import secrets
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from pipelines.state import PASSED
from runner.report_results import Case, CaseName, StepReports
from tests.support.builders import push
from tests.support.reports import step_reports
from tests.web.conftest import REPO, Site
from web.operations.reports.test_history import LOOKED_INTO_REPORTS_MAX, find_case, history_of
from web.security.access import Actor
from workers import store
from workers.db.models import StepReport
from workers.db.session import reading, transaction

TEST = {"suite": "unit", "class_name": "tests.test_a", "test": "old"}
HEADWAY = Actor(None, "headway", is_admin=True, source="test")
NAME = CaseName("unit", "tests.test_a", "old")


def ran(site: Site, *reports: StepReports) -> None:
    """A run with these reports, one of each step."""
    run = site.begin(push(sha=secrets.token_hex(20)))
    for step, each in enumerate(reports, start=1):
        run.report(each, step=step)
    with transaction(site.engine) as session:
        store.finish_job(session, run.claim.job_id, run.claim.attempt, PASSED)


def got(client: TestClient, **query: Any) -> tuple[list[tuple[int, str]], int | None]:
    answer = client.get(f"/api/repos/{REPO}/tests/history", params={**TEST, **query})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return [(each["run"], each["state"]) for each in found["runs"]], found["next_before"]


def test_runs_in_which_it_passed_are_in_its_history(program: TestClient, site: Site) -> None:
    site.add_repo()
    ran(site, step_reports("one old"))
    ran(site, step_reports("one", "old"))
    ran(site, step_reports("one"), step_reports("two old"))
    ran(site, step_reports("one"))
    assert got(program) == ([(3, "passed"), (2, "failed"), (1, "passed")], None)
    answer = program.get(f"/api/repos/{REPO}/tests/history", params=TEST).json()["runs"]
    assert (answer[0]["message"], answer[0]["line"], answer[0]["duration_ms"]) == ("", 0, 10)
    assert (answer[1]["message"], answer[1]["line"], answer[1]["branch"]) == ("assert old", 10, "main")
    assert got(program, test="none") == ([], None)
    assert got(program, suite="") == ([], None), "of another suite it is another test"


def test_the_history_is_paged_by_reports(program: TestClient, site: Site) -> None:
    site.add_repo()
    for index in range(4):
        ran(site, step_reports("old") if index % 2 else step_reports("", "old"))
    first, before = got(program, limit=3)
    assert (first, before is not None) == ([(4, "passed"), (3, "failed"), (2, "passed")], True)
    assert got(program, limit=3, before=before) == ([(1, "failed")], None)
    assert got(program, limit=4) == ([(4, "passed"), (3, "failed"), (2, "passed"), (1, "failed")], None)


@pytest.mark.parametrize("more", [0, 1])
def test_only_so_many_reports_are_looked_into_for_one_answer(program: TestClient, site: Site, more: int) -> None:
    site.add_repo()
    ran(site, step_reports("old"))
    for _ in range(LOOKED_INTO_REPORTS_MAX - 1 + more):
        ran(site, step_reports("one"))
    found, before = got(program)
    assert (found, before is not None) == (([], True) if more else ([(1, "passed")], False))
    if before:
        assert got(program, before=before) == ([(1, "passed")], None)


def test_only_so_many_bytes_are_read_for_one_answer(site: Site) -> None:
    site.add_repo()
    for _ in range(3):
        ran(site, step_reports("old"))
    with reading(site.engine) as session:
        (size_bytes,) = set(session.scalars(select(StepReport.blob_bytes)))
    for bytes_max, runs in ((3 * size_bytes, [3, 2, 1]), (3 * size_bytes - 1, [3, 2]), (0, [3])):
        found = history_of(site.services, HEADWAY, REPO, NAME, 10, read_bytes_max=bytes_max)
        assert [each.run.number for each in found.tests] == runs
        assert (found.next_before is None) is (len(runs) == 3)
    older = history_of(site.services, HEADWAY, REPO, NAME, 10, found.next_before or 0)
    assert [each.run.number for each in older.tests] == [2, 1]


def test_the_page_says_which_lists_are_gone(browser: TestClient, site: Site) -> None:
    site.add_repo()
    ran(site, step_reports("old"))
    ran(site, step_reports("", "old"))
    page = browser.get(f"/repos/{REPO}/tests/history", params=TEST).text
    assert ("#2</a> failed: assert old" in page, "#1</a> passed" in page) == (True, True)
    assert "gone from the blob store" not in page
    site.services.blobs.delete(list(site.services.blobs.names("artifacts")))
    page = browser.get(f"/repos/{REPO}/tests/history", params=TEST).text
    assert ("#2</a> failed: assert old" in page, "#1</a>" in page) == (True, False)
    assert "The lists of all tests of 1 reports are gone from the blob store" in page


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_line_is_found_in_any_pieces(size: int) -> None:
    text = (
        b"\npassed\tunit\ttests.test_a\tolder\t\t1\n"
        b"no state\tunit\ttests.test_a\told\t\t2\n"
        b"skipped\tunit\ttests.test_a\told\ta.py\t3\n"
        b"passed\tunit\ttests.test_a\told\t\t4"
    )
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert find_case(pieces, NAME) == Case("skipped", NAME, "a.py", 3)
    assert find_case([text], CaseName("unit", "tests.test_a", "none")) is None
    assert find_case([b"\nfailed\tunit\ttests.test_a\told\t\t4"], NAME) == Case("failed", NAME, "", 4)
