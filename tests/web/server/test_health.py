"""``/healthz`` and ``/readyz``."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError
from sqlalchemy.exc import TimeoutError as DatabaseTimeoutError
from starlette.testclient import TestClient

from tests.web.conftest import Site
from web.security.auth import new_token
from web.server.app import create_app
from web.server.error_handlers import RETRY_AFTER_S
from workers import store
from workers.db.session import make_engine, transaction
from workers.store.processes import leaders
from workers.streaming.redis_stream import connect


def all_is_well(site: Site) -> None:
    with transaction(site.engine) as session:
        leaders.take_lead(session, leaders.SCHEDULER, "here", 60)
        store.record_heartbeat(session, "w1", {}, 2, 60)


def test_healthz_and_readyz_answer_ok(site: Site, client: TestClient) -> None:
    all_is_well(site)
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = {"ready": True, "database": "ok", "redis": "ok", "disk": "ok", "scheduler": "ok", "workers": "ok"}
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


def test_readyz_and_the_page_say_who_takes_no_job_and_that_no_scheduler_runs(
    site: Site, client: TestClient, browser: TestClient
) -> None:
    parts = client.get("/readyz").json()
    assert (parts["scheduler"], parts["workers"]) == ("none is running", "none is running")
    assert "No scheduler is running: crons do not start" in browser.get("/workers").text
    all_is_well(site)
    with transaction(site.engine) as session:
        store.record_heartbeat(session, "w2", {}, 2, 60, "No Docker Engine answers <there>.")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["workers"]) == (200, "1 of 2 take no job")
    page = browser.get("/workers").text
    assert "Takes no job. No Docker Engine answers &lt;there&gt;." in page
    assert "No scheduler is running" not in page
    problems = {worker["name"]: worker["problem"] for worker in browser.get("/api/workers").json()}
    assert problems == {"w1": "", "w2": "No Docker Engine answers <there>."}


def test_redis_that_is_away_is_told_by_the_page_and_readyz(site: Site) -> None:
    with connect("redis://127.0.0.1:1/0") as away:
        services = replace(site.services, redis=away)
        with TestClient(create_app(services), base_url="http://localhost") as client:
            assert client.get("/readyz").json()["redis"].startswith("does not answer")
            client.headers["authorization"] = f"Bearer {site.token(site.add_user())}"
            assert "Redis does not answer: jobs start some seconds late" in client.get("/workers").text


PATHS = ("/", "/login", "/workers", "/repos/a/b", "/api/repos", "/api/stream", "/api/workers")


@pytest.mark.parametrize("path", PATHS)
def test_a_postgresql_that_is_away_is_503_and_no_mistake_of_headways(site: Site, path: str) -> None:
    """Without a server to ask, whatever is asked: pages, API, streams, logins and webhooks."""
    engine = make_engine("postgresql+psycopg://headway@127.0.0.1:1/x")
    with TestClient(
        create_app(replace(site.services, engine=engine)), base_url="http://localhost", raise_server_exceptions=False
    ) as client:
        headers = {"authorization": f"Bearer {new_token()}", "sec-fetch-site": "same-origin"}
        answers = [client.get(path, headers=headers)] if path != "/login" else []
        answers += [client.post("/hooks/a/b"), client.post("/login", data={"link": "x"}, headers=headers)]
    engine.dispose()
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, str(RETRY_AFTER_S))
        assert "The database cannot be used now" in answer.text


@pytest.mark.parametrize(
    "error",
    [
        InterfaceError("SELECT 1", None, ValueError("the connection is closed")),
        InternalError("UPDATE", None, ValueError("cannot execute UPDATE in a read-only transaction")),
        DatabaseTimeoutError("QueuePool limit"),
        DBAPIError("SELECT 1", None, ValueError("server closed the connection"), connection_invalidated=True),
    ],
)
def test_what_a_driver_says_of_a_database_that_went_away_is_503(site: Site, error: Exception) -> None:
    app = create_app(site.services)

    def broken() -> None:
        raise error

    app.add_api_route("/api/broken", broken)
    app.router.routes.insert(0, app.router.routes.pop())
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        assert client.get("/api/broken").status_code == 503
