"""Workers: in the API and on their page."""

from starlette.testclient import TestClient

from tests.web.conftest import Site
from workers import store
from workers.db.session import reading, transaction
from workers.labels import offered_here
from workers.store.processes.workers import DRAINED


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


def drained(site: Site) -> list[tuple[bool, str, int]]:
    with reading(site.engine) as session:
        return [(worker.drained, worker.problem, worker.free) for worker in store.workers(session)]


def test_an_administrator_drains_a_worker_and_takes_it_back(site: Site, program: TestClient) -> None:
    add_worker(site)
    for _ in range(2):
        assert program.post("/api/workers/host-1/drain").status_code == 204
    assert drained(site) == [(True, DRAINED, 0)]
    assert program.get("/api/workers").json()[0]["drained"] is True
    add_worker(site)
    assert drained(site) == [(True, DRAINED, 0)], "a heartbeat leaves it drained"
    assert program.post("/api/workers/host-1/undrain").status_code == 204
    assert drained(site) == [(False, "", 2)]
    entries = program.get("/api/audit").json()
    assert [(entry["action"], entry["target"]) for entry in entries if entry["action"].startswith("worker.")] == [
        ("worker.undrain", "host-1"),
        ("worker.drain", "host-1"),
    ]


def test_a_worker_that_is_gone_cannot_be_drained(site: Site, program: TestClient) -> None:
    add_worker(site, silent_s=-1)
    for word in ("drain", "undrain"):
        answer = program.post(f"/api/workers/host-1/{word}")
        assert answer.status_code == 404
        assert answer.json()["error"] == "No worker named host-1 is running. The page Workers has their names."


def test_the_page_has_a_button_to_drain_a_worker(site: Site, browser: TestClient) -> None:
    add_worker(site)
    assert 'action="/workers/drain"' in browser.get("/workers").text
    assert browser.post("/workers/drain", data={"name": "host-1"}).headers["location"] == "/workers"
    text = browser.get("/workers").text
    assert f"Takes no job. {DRAINED}" in text
    assert 'action="/workers/undrain"' in text
    browser.post("/workers/undrain", data={"name": "host-1"})
    assert drained(site) == [(False, "", 2)]


def test_other_users_get_no_button(site: Site, guest: TestClient) -> None:
    add_worker(site)
    text = guest.get("/workers").text
    assert "host-1" in text
    assert "/workers/drain" not in text
    assert guest.post("/api/workers/host-1/drain").status_code == 403
    assert drained(site) == [(False, "", 2)]


def test_a_drained_worker_that_was_silent_is_still_drained_when_it_comes_back(site: Site) -> None:
    add_worker(site)
    with transaction(site.engine) as session:
        store.set_drained(session, "host-1", drained=True)
        store.record_heartbeat(session, "host-1", {}, 2, -60)
        store.remove_worker(session, "another")
    add_worker(site)
    assert drained(site) == [(True, DRAINED, 0)]
    with transaction(site.engine) as session:
        store.record_heartbeat(session, "host-1", {}, 2, -24 * 3600 - 1)
        store.remove_worker(session, "another")
        assert not store.is_drained(session, "host-1")


def test_the_workers_are_not_shown_without_a_login(client: TestClient) -> None:
    assert client.get("/api/workers").status_code == 401
    assert client.get("/workers").status_code == 303


def test_an_administrator_asks_how_many_workers_are_wanted(site: Site, program: TestClient) -> None:
    assert program.get("/api/queue").json() == []
    site.add_repo()
    site.queue()
    (wanted,) = program.get("/api/queue").json()
    assert (wanted["labels"], wanted["queued"], wanted["running"], wanted["slots"]) == ({}, 1, 0, 1)
    assert 0 <= wanted["oldest_s"] < 60
