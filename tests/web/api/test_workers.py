"""Workers: in the API and on their page."""

from starlette.testclient import TestClient

from tests.web.conftest import Site
from workers import store
from workers.db.session import transaction
from workers.labels import offered_here


def add_worker(site: Site, labels: str = "", silent_s: int = 60) -> None:
    with transaction(site.engine) as session:
        store.record_heartbeat(session, "host-1", offered_here(labels), 2, silent_s)


def test_the_api_lists_the_running_workers(site: Site, program: TestClient) -> None:
    assert program.get("/api/workers").json() == []
    add_worker(site, "gpu=true")
    (worker,) = program.get("/api/workers").json()
    assert (worker["name"], worker["slots"], worker["busy"], worker["labels"]["gpu"]) == ("host-1", 2, 0, "true")
    add_worker(site, silent_s=-1)
    assert program.get("/api/workers").json() == []


def test_the_page_shows_slots_and_labels(site: Site, browser: TestClient) -> None:
    assert "No worker is running" in browser.get("/workers").text
    add_worker(site, "gpu=true")
    text = browser.get("/workers").text
    assert "host-1" in text
    assert "<code>gpu=true</code>" in text
    assert "0 of 2" in text
    assert 'href="/workers"' in browser.get("/").text


def test_a_worker_that_takes_no_job_says_why(site: Site, browser: TestClient) -> None:
    with transaction(site.engine) as session:
        store.record_heartbeat(session, "host-1", {}, 2, 60, "Its disk is nearly full.")
        (worker,) = store.workers(session)
        assert worker.free == 0
    assert browser.get("/api/workers").json()[0]["problem"] == "Its disk is nearly full."
    assert "Takes no job. Its disk is nearly full." in browser.get("/workers").text
    add_worker(site)
    assert browser.get("/api/workers").json()[0]["problem"] == ""


def test_the_workers_are_not_shown_without_a_login(client: TestClient) -> None:
    assert client.get("/api/workers").status_code == 401
    assert client.get("/workers").status_code == 303
