"""The runs of a repository by filters, its branches, and the badge of a branch."""

import re
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from pipelines.plan import Plan
from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Trigger
from tests.support.builders import pull_request
from tests.web.conftest import PLAN, REPO, Site, push
from tests.web.pages.test_pages import HOSTILE, assert_no_foreign_markup
from web.operations.repos.badges import Badge, badge_path
from web.pages.repos.badge import CACHED_S, drawn
from web.pages.repos.page import TEXT_SEARCHED_CHARS_MAX
from workers import store
from workers.db.session import reading, transaction
from workers.store.runs.refs import RUNS_LOOKED_AT_MAX
from workers.store.runs.run_search import LOOKED_AT_MAX

PAGE = f"/repos/{REPO}"
EXIT = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1", 1)


@pytest.fixture(autouse=True)
def _repo(site: Site) -> None:
    site.add_repo()


def ended(site: Site, state: State, trigger: Trigger | None = None) -> None:
    queued = site.queue(trigger)
    claim = site.claim(queued)
    with transaction(site.engine) as session:
        store.plan_run(session, queued.job_id, claim.attempt, Plan(jobs=PLAN.jobs))
        store.finish_job(session, queued.job_id, claim.attempt, EXIT if state is State.FAILED else Outcome(state))


def badge(site: Site) -> str:
    with reading(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo
        return badge_path(site.services, repo)


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(rf'class="title" href="{PAGE}/runs/(\d+)"', text)]


def test_runs_are_found_by_author_title_commit_and_ref(site: Site, browser: TestClient) -> None:
    site.queue(push("Mend the roof"))
    site.queue(push("Paint the door", author="Bo"))
    site.queue(pull_request(from_fork=False))
    assert numbers(browser.get(PAGE, params={"author": "Bo"}).text) == [2]
    assert numbers(browser.get(PAGE, params={"text": "ROOF"}).text) == [3, 1]
    assert numbers(browser.get(PAGE, params={"text": "roof", "branch": "main", "event": "push"}).text) == [1]
    text = browser.get(PAGE, params={"ref": "refs/pull/7/head"}).text
    assert numbers(text) == [3]
    assert "<h1>pull request 7</h1>" in text
    assert "One run: " in text
    assert 'name="ref" value="refs/pull/7/head"' in text


def test_a_filter_is_shown_as_it_was_asked_for(browser: TestClient, site: Site) -> None:
    site.queue()
    text = browser.get(PAGE, params={"author": HOSTILE, "text": HOSTILE[:TEXT_SEARCHED_CHARS_MAX], "ref": HOSTILE}).text
    assert_no_foreign_markup(text)
    assert "No run is like that." in text


@pytest.mark.parametrize(("length", "status"), [(TEXT_SEARCHED_CHARS_MAX, 200), (TEXT_SEARCHED_CHARS_MAX + 1, 422)])
def test_so_long_a_text_is_searched(browser: TestClient, length: int, status: int) -> None:
    assert browser.get(PAGE, params={"text": "x" * length}).status_code == status


def test_a_search_of_a_long_history_goes_on_in_page_and_api(site: Site, browser: TestClient) -> None:
    with transaction(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo
        for number in range(LOOKED_AT_MAX + 1):
            store.queue_run(session, repo.id, push("later" if number else "first"))
    text = browser.get(PAGE, params={"text": "first"}).text
    assert "None more among 1,000 runs." in text
    link = re.search(r'href="([^"]*before=2[^"]*)"', text)
    assert link
    assert numbers(browser.get(link[1].replace("&amp;", "&")).text) == [1]
    answer = browser.get(f"/api{PAGE}/runs", params={"text": "first", "limit": 5})
    assert answer.json() == []
    rest = browser.get(answer.links["next"]["url"])
    assert [run["number"] for run in rest.json()] == [1]
    assert "next" not in rest.links


def test_branches_and_pull_requests_are_listed_with_the_default_branch_first(site: Site, browser: TestClient) -> None:
    assert "No runs yet." in browser.get(f"{PAGE}/branches").text
    ended(site, State.PASSED)
    ended(site, State.FAILED, push(branch="topic"))
    site.queue(pull_request(from_fork=True))
    text = browser.get(f"{PAGE}/branches").text
    refs = re.findall(r'class="title" href="[^"]*\?ref=([^"]+)">([^<]+)<', unquote(text))
    assert refs == [
        ("refs/heads/main", "main"),
        ("refs/pull/7/head", "pull request 7"),
        ("refs/heads/topic", "topic"),
    ]
    assert "One run: failed" in text


def test_refs_without_a_recent_run_are_left_out_but_the_default_branch(site: Site, browser: TestClient) -> None:
    site.queue(push(branch="old"))
    site.queue(push())
    with transaction(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo
        for _ in range(RUNS_LOOKED_AT_MAX - 2):
            store.queue_run(session, repo.id, push(branch="busy"))
    assert ">old<" in browser.get(f"{PAGE}/branches").text
    site.queue(push(branch="busy"))
    site.queue(push(branch="busy"))
    text = browser.get(f"{PAGE}/branches").text
    assert ">old<" not in text
    assert ">main<" in text


def test_a_badge_needs_no_login_and_may_be_cached(site: Site, client: TestClient) -> None:
    path = badge(site)
    assert "build: no runs" in client.get(path).text
    ended(site, State.FAILED, push(branch="topic"))
    ended(site, State.PASSED)
    ended(site, State.CANCELED)
    site.queue()
    answer = client.get(path)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == f"public, max-age={CACHED_S}"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "build: passing" in answer.text
    assert "build: failing" in client.get(path, params={"branch": "topic"}).text
    assert "build: no runs" in client.get(path, params={"branch": HOSTILE}).text
    again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_only_the_address_that_the_page_shows_is_a_badge(site: Site, client: TestClient) -> None:
    link = badge(site).rpartition("/")[2].removesuffix(".svg")
    other = "0" if link[-1] != "0" else "1"
    for changed in (f"{link[:-1]}{other}.svg", "1-.svg", f"2{link[1:]}.svg", f"{link}0.svg", "x"):
        assert client.get(f"/badges/{changed}").status_code == 404, changed


def test_the_page_shows_the_address_of_the_badge(site: Site, browser: TestClient) -> None:
    site.queue(pull_request(from_fork=False))
    assert f"[![build](http://localhost:8080{badge(site)})](http://localhost:8080{PAGE})" in browser.get(PAGE).text
    of_branch = browser.get(PAGE, params={"ref": "refs/heads/a b"}).text
    assert f"{badge(site)}?branch=a+b" in of_branch
    assert "/badges/" not in browser.get(PAGE, params={"ref": "refs/pull/7/head"}).text


@pytest.mark.parametrize("state", [State.PASSED, State.FAILED, State.BROKEN, None])
def test_every_state_has_a_word_and_a_color(state: State | None) -> None:
    text = drawn(Badge(state))
    assert f"<title>build: {Badge(state).word}</title>" in text
