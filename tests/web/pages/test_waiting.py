"""Why a run or a job waits: on its page and in the API."""

from starlette.testclient import TestClient

from tests.support.builders import job_plan, plan
from tests.web.conftest import REPO, Site
from workers.db.session import transaction
from workers.store.jobs import leases


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
