"""Why a run or a job waits: on its page and in the API."""

import pytest
from starlette.testclient import TestClient

from pipelines.state import Outcome, Reason, State
from tests.support.builders import job_plan, plan
from tests.web.conftest import REPO, Site
from workers import store
from workers.db.models import Repo
from workers.db.session import transaction
from workers.store.jobs import delays, leases

pytestmark = pytest.mark.slow


def test_a_queued_run_says_what_it_waits_for(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.queue()
    text = "Waits for a worker, and none is running. Start one: headway worker."
    assert text in browser.get(f"/repos/{REPO}/runs/1").text
    (job,) = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"]
    assert job["waits_for"] == text


def test_a_run_whose_jobs_all_wait_is_not_shown_as_running(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with transaction(site.engine) as session:
        leases.release(session, begun.queued.job_id, begun.claim.attempt)
    for path in ("/", f"/repos/{REPO}", f"/repos/{REPO}/runs/1"):
        text = browser.get(path).text
        assert "Waiting" in text
        assert "Running" not in text


def test_a_queued_job_of_a_running_run_says_what_it_waits_for(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.begin(plan=plan(job_plan("build", 1), job_plan("test", 2, ("build",))))
    build, test = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"]
    assert (build["waits_for"], test["waits_for"]) == ("", "Waits for 'build', which it depends on.")
    assert "Waits for &#39;build&#39;, which it depends on." in browser.get(f"/repos/{REPO}/runs/1").text


def delay(site: Site) -> None:
    begun = site.begin()
    with transaction(site.engine) as session:
        why = delays.Delay("cannot fetch from https://git.corp/a.git: git.corp accepts no connection", 300)
        delays.delay(session, begun.queued.job_id, begun.claim.attempt, why)


def test_a_run_that_waits_for_the_forge_says_so_and_when_it_is_tried_again(site: Site, browser: TestClient) -> None:
    site.add_repo()
    delay(site)
    (job,) = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"]
    said = "Waits for the forge: cannot fetch from https://git.corp/a.git: git.corp accepts no connection. Tried once; "
    assert job["waits_for"].startswith(said)
    assert job["not_before_ms"] > 0
    page = browser.get(f"/repos/{REPO}/runs/1").text
    assert said in page
    assert "Waiting" in page
    assert browser.post(f"/repos/{REPO}/runs/1/cancel").status_code == 303
    ended = browser.get(f"/api/repos/{REPO}/runs/1").json()
    assert (ended["state"], ended["jobs"][0]["not_before_ms"]) == ("canceled", None)


def test_gits_own_words_stand_below_the_sentence(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    words = "remote: <b>Nope</b>\nfatal: Authentication failed"
    outcome = Outcome(State.BROKEN, Reason.CLONE_FAILED, "the login is wrong", detail=words)
    with transaction(site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, outcome)
    page = browser.get(f"/repos/{REPO}/runs/1").text
    assert page.index("the login is wrong") < page.index("<pre>remote: &lt;b&gt;Nope&lt;/b&gt;\nfatal: Authentication")
    assert browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"][0]["detail"] == words


def test_a_repository_that_has_moved_is_told_once_on_each_page(site: Site, browser: TestClient) -> None:
    site.add_repo()
    delay(site)
    with transaction(site.engine) as session:
        repo = session.query(Repo).one()
        repo_id = repo.id
        store.set_moved_to(session, repo_id, "https://elsewhere.test/x.git", "https://git.corp/wrong.git")
        assert repo.moved_to == "", "its address was changed meanwhile"
        store.set_moved_to(session, repo_id, repo.clone_url, "https://git.corp/new/app.git")
    command = f"<code>headway repo url {REPO} https://git.corp/new/app.git</code>"
    for path in (f"/repos/{REPO}", f"/repos/{REPO}/runs/1"):
        assert browser.get(path).text.count(command) == 1
    assert browser.get(f"/api/repos/{REPO}").json()["moved_to"] == "https://git.corp/new/app.git"
