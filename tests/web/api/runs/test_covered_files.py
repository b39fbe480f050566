"""The coverage of each file of a run by the API and on pages, and how it differs from the default branch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipelines.state import PASSED
from runner.report_results import CoveredFiles, StepReports
from tests.support.builders import push
from tests.support.reports import covered, step_reports
from tests.web.conftest import REPO, ClaimedRun, Site
from web.pages.run import covered_files as page_module
from web.pages.run.page import FILES_SHOWN_MAX
from workers import store
from workers.db.session import transaction

BEFORE = covered(lost=(9, 10), less=(5, 10), more=(5, 10), bit=(5, 10), same=(4, 8), gone=(1, 1), grown=(1, 2))
NOW = covered(lost=(1, 10), less=(4, 10), more=(9, 10), bit=(6, 10), same=(1, 2), new=(0, 5), grown=(2, 4))


def end(run: ClaimedRun) -> None:
    with transaction(run.site.engine) as session:
        store.finish_job(session, run.claim.job_id, run.claim.attempt, PASSED)


def two_runs(site: Site, before: StepReports, now: StepReports, *, ended: bool = True) -> None:
    """One run of the default branch, and one of a feature branch after it."""
    site.add_repo()
    first = site.begin(push(sha="b" * 40))
    first.report(before)
    end(first)
    second = site.begin(push(branch="feature", sha="c" * 40))
    second.report(now)
    if ended:
        end(second)


def got(client: TestClient, number: int = 2, **query: int) -> Any:
    answer = client.get(f"/api/repos/{REPO}/runs/{number}/coverage", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def states(found: Any) -> Sequence[tuple[str, str, float | None]]:
    return [(each["path"], each["state"], each["change"]) for each in found["files"]]


def test_what_has_lost_comes_first_and_then_the_least_covered(program: TestClient, site: Site) -> None:
    two_runs(site, BEFORE, NOW)
    found = got(program)
    assert states(found) == [
        ("lost.py", "changed", -80.0),
        ("less.py", "changed", -10.0),
        ("new.py", "new", None),
        ("more.py", "changed", 40.0),
        ("bit.py", "changed", 10.0),
        ("gone.py", "gone", None),
        ("grown.py", "", 0.0),
        ("same.py", "", 0.0),
    ]
    assert (found["count"], found["compared_with"], found["next_after"]) == (8, 1, None)
    assert found["files"][0]["now"] == {"covered_lines": 1, "total_lines": 10, "percent": 10.0}
    assert found["files"][0]["before"] == {"covered_lines": 9, "total_lines": 10, "percent": 90.0}
    assert (found["files"][2]["before"], found["files"][5]["now"]) == (None, None)


def test_a_run_without_one_to_compare_with_lists_the_least_covered_first(program: TestClient, site: Site) -> None:
    two_runs(site, BEFORE, NOW)
    found = got(program, 1)
    assert [path for path, *_ in states(found)] == [
        "bit.py", "grown.py", "less.py", "more.py", "same.py", "lost.py", "gone.py",
    ]  # fmt: skip
    assert {each[1:] for each in states(found)} == {("", None)}
    assert found["compared_with"] is None


@pytest.mark.parametrize(
    ("before", "now", "ended", "expected"),
    [
        (covered(a=(1, 2)), covered(b=(1, 2)), True, [("b.py", "new"), ("a.py", "gone")]),
        (covered(1, a=(1, 2)), covered(b=(1, 2)), True, [("a.py", "gone"), ("b.py", "")]),
        (covered(a=(1, 2)), covered(1, b=(1, 2)), True, [("b.py", "new")]),
        (covered(a=(1, 2)), covered(b=(1, 2)), False, [("b.py", "new")]),
        (replace(covered(a=(1, 2)), covered_files=CoveredFiles()), covered(b=(1, 2)), True, [("b.py", "")]),
        (step_reports("one"), covered(b=(1, 2)), True, [("b.py", "")]),
        (covered(a=(1, 2)), step_reports("one"), True, []),
    ],
)
def test_a_file_is_new_or_gone_only_where_that_is_known(
    program: TestClient,
    site: Site,
    before: StepReports,
    now: StepReports,
    ended: bool,
    expected: list[tuple[str, str]],
) -> None:
    two_runs(site, before, now, ended=ended)
    assert [each[:2] for each in states(got(program))] == expected


def test_the_list_comes_in_pages(program: TestClient, site: Site) -> None:
    two_runs(site, BEFORE, NOW)
    first, last = got(program, limit=4), got(program, limit=4, after=4)
    assert (len(first["files"]), first["next_after"], len(last["files"]), last["next_after"]) == (4, 4, 4, None)
    assert [*first["files"], *last["files"]] == got(program, limit=8)["files"]
    assert got(program, limit=8)["next_after"] is None
    assert got(program, after=8)["files"] == []


def test_the_page_of_a_run_shows_a_table(browser: TestClient, site: Site) -> None:
    two_runs(site, BEFORE, NOW)
    page = browser.get(f"/repos/{REPO}/runs/2").text
    assert "Coverage per file: 2 lost, 1 new" in page
    for part in ("<code>lost.py</code>", "10.0 % of 10 lines", "-80.0", "new", "was 100.0 %", "no longer reported"):
        assert part in page, part
    assert "more</a>" not in page
    page = browser.get(f"/repos/{REPO}/runs/1").text
    assert "<summary>Coverage per file</summary>" in page


def test_of_many_files_the_page_of_a_run_shows_the_first(browser: TestClient, site: Site) -> None:
    site.add_repo()
    run = site.begin()
    names = [f"f{at:03}" for at in range(FILES_SHOWN_MAX + 1)]
    run.report(covered(**dict.fromkeys(names[:-1], (1, 2))))
    assert "more</a>" not in browser.get(f"/repos/{REPO}/runs/1").text
    run.report(covered(**dict.fromkeys(names, (1, 2))))
    page = browser.get(f"/repos/{REPO}/runs/1").text
    assert (f"{names[-2]}.py" in page, f"{names[-1]}.py" in page) == (True, False)
    assert f'<a href="/repos/{REPO}/runs/1/coverage">And 1 more</a>' in page


def test_the_page_of_all_files(browser: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    two_runs(site, BEFORE, NOW)
    path = f"/repos/{REPO}/runs/2/coverage"
    assert "More" not in browser.get(path).text
    monkeypatch.setattr(page_module, "FILES_ON_A_PAGE", 4)
    page = browser.get(path).text
    assert ("more.py" in page, "gone.py" in page, "coverage?after=4" in page) == (True, False, True)
    page = browser.get(path, params={"after": 4}).text
    assert ("more.py" in page, "gone.py" in page, "after=8" in page, "First" in page) == (False, True, False, True)
    assert "There are no more" in browser.get(path, params={"after": 40}).text


def test_a_run_without_coverage_says_so(browser: TestClient, site: Site) -> None:
    site.add_repo()
    site.begin().report(step_reports("one"))
    assert "has reported the coverage of files" in browser.get(f"/repos/{REPO}/runs/1/coverage").text
    assert "Coverage per file" not in browser.get(f"/repos/{REPO}/runs/1").text


def test_a_path_is_no_html(browser: TestClient, site: Site) -> None:
    site.add_repo()
    site.begin().report(covered(**{"<script>alert(1)</script>": (1, 2)}))
    for path in ("runs/1", "runs/1/coverage"):
        page = browser.get(f"/repos/{REPO}/{path}").text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
