"""Workers, what jobs wait for, and newest wins: on pages and in the API."""

from pathlib import Path

from starlette.testclient import TestClient

from pipelines.trigger import Event
from tests.support.builders import job_plan, plan
from tests.support.services import eventually
from tests.web.cli.test_cli import URL, Headway
from tests.web.conftest import REPO, Site
from tests.web.hooks.test_endpoint import send
from web.operations import repos
from workers import store
from workers.db.session import make_engine, reading, transaction
from workers.labels import offered_here
from workers.settings import Settings
from workers.store import leases
from workers.streaming.redis_stream import CANCEL_CHANNEL


def there(site: Site, labels: str = "", silent_s: int = 60) -> None:
    with transaction(site.engine) as session:
        store.beat(session, "host-1", offered_here(labels), 2, silent_s)


def newest_wins(site: Site) -> list[str]:
    with reading(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo is not None
        return repo.newest_wins


def test_the_api_lists_the_workers_that_are_there(site: Site, program: TestClient) -> None:
    assert program.get("/api/workers").json() == []
    there(site, "gpu=true")
    (worker,) = program.get("/api/workers").json()
    assert (worker["name"], worker["slots"], worker["busy"], worker["labels"]["gpu"]) == ("host-1", 2, 0, "true")
    there(site, silent_s=-1)
    assert program.get("/api/workers").json() == []


def test_the_page_of_workers_shows_what_they_offer(site: Site, browser: TestClient) -> None:
    assert "No worker is running" in browser.get("/workers").text
    there(site, "gpu=true")
    text = browser.get("/workers").text
    assert "host-1" in text
    assert "<code>gpu=true</code>" in text
    assert "0 of 2" in text
    assert 'href="/workers"' in browser.get("/").text


def test_nobody_sees_the_workers_without_a_login(client: TestClient) -> None:
    assert client.get("/api/workers").status_code == 401
    assert client.get("/workers").status_code == 303


def test_a_run_that_waits_says_what_for(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.queue()
    text = "Waits for a worker, and none is running. Start one: headway worker."
    assert text in browser.get(f"/repos/{REPO}/runs/1").text
    (job,) = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"]
    assert job["waits_for"] == text


def test_a_run_that_has_begun_but_waits_is_not_shown_as_running(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with transaction(site.engine) as session:
        leases.release(session, begun.queued.job_id, begun.claim.attempt)
    for path in ("/", f"/repos/{REPO}", f"/repos/{REPO}/runs/1"):
        text = browser.get(path).text
        assert "Waiting" in text
        assert "Running" not in text


def test_a_job_that_waits_in_a_run_that_goes_on_says_what_for(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.begin(plan=plan(job_plan("build", 1), job_plan("test", 2, ("build",))))
    build, test = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"]
    assert (build["waits_for"], test["waits_for"]) == ("", "Waits for 'build', which it depends on.")
    assert "Waits for &#39;build&#39;, which it depends on." in browser.get(f"/repos/{REPO}/runs/1").text


def test_an_administrator_says_when_the_newest_wins(site: Site, browser: TestClient) -> None:
    site.add_repo()
    page = f"/repos/{REPO}/settings"
    assert 'value="pull_request" checked' in browser.get(page).text
    assert browser.post(f"{page}/newest-wins", data={"event": ["push", "pull_request"]}).status_code == 303
    assert newest_wins(site) == ["pull_request", "push"]
    assert browser.post(f"{page}/newest-wins", data={"event": ["tag"]}).status_code == 422
    assert browser.post(f"{page}/newest-wins", data={}).status_code == 303
    assert newest_wins(site) == []


def test_the_command_line_says_it_too(tmp_path: Path) -> None:
    headway = Headway(tmp_path / "data")
    headway.ok("repo", "add", URL)
    headway.ok("repo", "newest-wins", REPO, "--push")
    engine = make_engine(Settings(data_dir=headway.folder).database)
    with reading(engine) as session:
        assert [repo.newest_wins for repo in store.repos(session)] == [["push"]]
    engine.dispose()
    assert "no repository named nobody" in headway.refused("repo", "newest-wins", "nobody")


def test_a_worker_on_a_run_that_a_newer_push_ends_is_told_at_once(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    repos.set_newest_wins(site.services, REPO, [Event.PUSH])
    first = site.begin()
    with site.services.redis.pubsub() as told:
        told.subscribe(CANCEL_CHANNEL)
        assert send(client, secret).status_code == 202
        heard = eventually(lambda: (said := told.get_message()) and said["type"] == "message" and said["data"])
    assert int(heard) == first.queued.run_id
    assert site.run(1).cancel_by == "run 2"
