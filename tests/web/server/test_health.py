"""``/healthz`` and ``/readyz``."""

from starlette.testclient import TestClient

from tests.web.conftest import Site
from workers import store
from workers.db.session import transaction


def test_healthz_and_readyz_answer_ok(site: Site, client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = {"ready": True, "database": "ok", "redis": "ok", "disk": "ok", "scheduler": "ok"}
    assert client.get("/readyz").json() == ready


def test_readyz_names_what_the_scheduler_cannot_do_and_the_server_is_ready_all_the_same(
    site: Site, client: TestClient, browser: TestClient
) -> None:
    with transaction(site.engine) as session:
        store.note_failed_duty(session, "old logs", "The logs of run 7 cannot be deleted: <it is a file>.")
        store.note_failed_duty(session, "crons", "It fails.")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["scheduler"]) == (200, "fails: crons, old logs")
    assert "The logs of run 7 cannot be deleted: &lt;it is a file&gt;." in browser.get("/workers").text
