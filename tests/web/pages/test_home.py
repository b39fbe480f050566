"""The front page: what needs attention comes first, and what it says of each repository."""

import re

import pytest
from starlette.testclient import TestClient

from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.plan import Plan
from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Trigger
from tests.support.builders import pull_request
from tests.web.conftest import PLAN, Site, push
from tests.web.pages.test_pages import HOSTILE, assert_no_foreign_markup
from web.pages.bars import bars, in_words
from web.pages.home.first_steps import PIPELINE
from web.pages.home.page import PAGES_MAX, REPOS_ON_A_PAGE, SEARCH_CHARS_MAX
from web.pages.home.ranking import Attention, attention_of, health_of
from workers import store
from workers.db.session import transaction
from workers.store.runs.branch_history import LastNumbers, PastRun

EXIT = Outcome(State.FAILED, Reason.EXIT_CODE, "It ended with exit status 1.", 1)


def ended(site: Site, repo: str, state: State, trigger: Trigger | None = None) -> None:
    """A run of the repository that has ended so."""
    queued = site.queue(trigger or push(), repo)
    claim = site.claim(queued)
    with transaction(site.engine) as session:
        store.plan_run(session, queued.job_id, claim.attempt, Plan(jobs=PLAN.jobs))
        store.finish_job(session, queued.job_id, claim.attempt, EXIT if state is State.FAILED else Outcome(state))


def groups(text: str) -> dict[str, list[str]]:
    """The repositories of each group of the page."""
    found = re.findall(r'<section class="repo-group" aria-label="([^"]+)">(.*?)</section>', text, re.DOTALL)
    return {name: re.findall(r'class="title" href="/repos/([^"]+)"', body) for name, body in found}


def past(number: int, state: State, took_ms: int | None = 1_000) -> PastRun:
    return PastRun(number, number, state, 0, 0, took_ms)


def test_red_default_branches_come_first_then_running_ones_then_the_most_recent(
    site: Site, browser: TestClient
) -> None:
    for name in ("a/old", "b/recent", "c/busy", "d/red", "e/new"):
        site.add_repo(name)
    ended(site, "d/red", State.FAILED)
    ended(site, "a/old", State.PASSED)
    site.queue(push(), "c/busy")
    ended(site, "b/recent", State.PASSED)
    text = browser.get("/").text
    assert groups(text) == {
        "Needs attention": ["d/red"],
        "In progress": ["c/busy"],
        "Others": ["b/recent", "a/old", "e/new"],
    }
    assert "<title>The default branch is red in 1 of 5 repositories" in text
    assert 'href="/static/icons/failed.svg"' in text


@pytest.mark.parametrize("trigger", [push(branch="topic"), pull_request(from_fork=True)])
def test_a_red_feature_branch_makes_no_repository_look_red(site: Site, browser: TestClient, trigger: Trigger) -> None:
    site.add_repo("a/b")
    ended(site, "a/b", State.PASSED)
    ended(site, "a/b", State.FAILED, trigger)
    text = browser.get("/").text
    assert groups(text) == {"Others": ["a/b"]}
    assert "One run: passed" in text
    assert "red" not in re.findall(r"<h1.*?</h1>", text)[0]


def test_a_red_branch_says_since_when_and_why_and_that_it_runs_again(site: Site, browser: TestClient) -> None:
    site.add_repo("a/b")
    for state in (State.FAILED, State.PASSED, State.FAILED, State.CANCELED, State.FAILED):
        ended(site, "a/b", state)
    text = browser.get("/").text
    assert 'red since <a href="/repos/a/b/runs/3">#3</a>' in text
    assert 'class="clip cause"' in text
    site.queue(push(), "a/b")
    text = browser.get("/").text
    assert groups(text) == {"Needs attention": ["a/b"]}
    assert "queued again now" in text


def test_a_canceled_run_says_nothing_about_the_branch() -> None:
    red = health_of([past(1, State.PASSED), past(2, State.FAILED), past(3, State.CANCELED), past(4, State.SKIPPED)])
    assert (red.attention, red.red_since, red.red_for_all) == (Attention.RED, red.runs[1], False)
    green = health_of([past(1, State.BROKEN), past(2, State.PASSED), past(3, State.CANCELED)])
    assert (green.attention, green.red_since, green.verdict) == (Attention.QUIET, None, green.runs[1])
    always = health_of([past(1, State.BROKEN), past(2, State.FAILED)])
    assert (always.red_since, always.red_for_all) == (always.runs[0], True)
    assert attention_of(LastNumbers(newest=4, passed=1, red=2, unfinished=0)) is Attention.RED
    assert attention_of(LastNumbers(newest=4, passed=2, red=1, unfinished=3)) is Attention.QUIET
    assert attention_of(LastNumbers(newest=4, passed=2, red=1, unfinished=4)) is Attention.RUNNING
    assert attention_of(None) is Attention.QUIET
    assert health_of([]).attention is Attention.QUIET
    assert health_of([past(1, State.PASSED), past(2, State.RUNNING, None)]).attention is Attention.RUNNING


def test_a_repository_without_a_run_of_its_default_branch_names_its_newest_run(site: Site, browser: TestClient) -> None:
    site.add_repo("a/b")
    ended(site, "a/b", State.FAILED, push("Try it", "topic"))
    text = browser.get("/").text
    assert groups(text) == {"Others": ["a/b"]}
    assert "#1 Try it" in text


def test_the_search_finds_repositories_by_a_part_of_their_name(site: Site, browser: TestClient) -> None:
    for name in ("team/roof", "team/cellar", "other/roofing"):
        site.add_repo(name)
    text = browser.get("/?q=+ROOF+").text
    assert sorted(groups(text)["Others"]) == ["other/roofing", "team/roof"]
    assert 'value="ROOF"' in text
    assert "2 repositories with" in text
    assert "No repository has “attic” in its name." in browser.get("/?q=attic").text


def test_a_hostile_or_too_long_search_is_text_or_refused(site: Site, browser: TestClient) -> None:
    site.add_repo("a/b")
    answer = browser.get("/", params={"q": HOSTILE})
    assert answer.status_code == 200
    assert_no_foreign_markup(answer.text)
    assert browser.get("/", params={"q": "x" * SEARCH_CHARS_MAX}).status_code == 200
    assert browser.get("/", params={"q": "x" * (SEARCH_CHARS_MAX + 1)}).status_code == 422
    assert browser.get("/", params={"page": PAGES_MAX}).status_code == 200
    for page in (0, PAGES_MAX + 1, "x"):
        assert browser.get("/", params={"page": page}).status_code == 422


@pytest.mark.slow
def test_repositories_come_in_pages(site: Site, browser: TestClient) -> None:
    with transaction(site.engine) as session:
        for number in range(REPOS_ON_A_PAGE):
            store.add_repo(session, store.NewRepo(f"team/r{number:03}", "file:///x"))
    assert "More repositories" not in browser.get("/").text
    site.add_repo("team/z")
    first = browser.get("/?q=team").text
    assert groups(first)["Others"][0] == "team/z"
    assert "/repos/team/r000" not in first
    assert ">Previous<" not in first
    (following,) = re.findall(r'class="button" href="(/\?[^"]+)"', first)
    second = browser.get(following.replace("&amp;", "&")).text
    assert groups(second) == {"Others": ["team/r000"]}
    assert ">Previous<" in second
    assert ">Next<" not in second
    assert "There is no page 3." in browser.get("/?page=3").text


@pytest.mark.slow
def test_repositories_behind_those_that_are_ranked_follow_by_their_newest_run(site: Site, browser: TestClient) -> None:
    with transaction(site.engine) as session:
        for number in range(252):
            store.add_repo(session, store.NewRepo(f"team/r{number:03}", "file:///x"))
    assert groups(browser.get("/?page=4").text)["Others"][-1] == "team/r052"
    last = browser.get("/?page=5").text
    assert (groups(last)["Others"][0], groups(last)["Others"][-1]) == ("team/r051", "team/r002")
    assert ">Next<" in last
    assert groups(browser.get("/?page=6").text) == {"Others": ["team/r001", "team/r000"]}


def test_a_new_server_teaches_how_to_connect_a_repository(browser: TestClient) -> None:
    text = browser.get("/").text
    assert "Connect your first repository" in text
    assert text.count("data-copy=") == 3
    for pasted in ("headway repo add https://", "python:3.13-slim", "git push"):
        assert pasted in text
    assert 'id="search"' not in text


def test_the_pipeline_to_paste_is_one_that_headway_takes() -> None:
    assert lint_files([PipelineFile(".headway.yml", PIPELINE.encode())]) == []


def test_a_run_before_its_commit_is_read_says_its_branch_and_who_started_it(site: Site, browser: TestClient) -> None:
    site.add_repo("a/b")
    browser.post("/repos/a/b/runs", data={"branch": "topic"})
    for path in ("/", "/repos/a/b", "/repos/a/b/runs/1"):
        text = browser.get(path).text
        assert "Run of topic by hand by ada" in text
        assert "(no message)" not in text


def test_the_diagram_has_a_bar_for_each_run_and_a_mark_under_each_failed_one() -> None:
    runs = [past(1, State.PASSED), past(2, State.FAILED, 2_000), past(3, State.BROKEN, 0), past(4, State.RUNNING, None)]
    drawn = str(bars(runs))
    assert 'aria-label="Last 4 runs: 1 passed, 1 failed, 1 broken, 1 running"' in drawn
    assert '<path class="failed" d="M119 1h5v18h-5z"/>' in drawn
    (marks,) = re.findall(r'class="mark" d="([^"]+)"', drawn)
    assert marks == "M119 21h5v3h-5zM126 21h5v3h-5z"
    assert drawn.count("h-5z") == len(runs) + 2
    assert 'class="running" d="M133 14h5v5h-5z"' in drawn


def test_a_diagram_shows_at_most_the_last_twenty_runs() -> None:
    runs = [past(number, State.PASSED) for number in range(1, 22)]
    assert str(bars(runs)).count("h-5z") == 20
    assert str(bars(runs[:20])).count("M0 ") == 1
    assert in_words([]) == "No runs"
    assert in_words(runs[:1]) == "One run: passed"
