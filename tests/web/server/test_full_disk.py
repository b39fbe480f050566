"""A full disk under the server: what cannot be stored is answered 503, and /readyz tells the truth."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.disks import database_on, fill
from tests.support.services import PostgresServer
from tests.web.conftest import REPO, Site
from tests.web.hooks.test_endpoint import PUSH, send
from web.server.app import create_app
from workers.ballast import Ballast
from workers.db.full_disk import NOTED_S, was_full
from workers.db.session import make_engine, upgrade
from workers.settings import Settings


@pytest.fixture
def crowded(site: Site, settings: Settings, own_disk: Path) -> Iterator[Site]:
    """The application with its data on a small disk."""
    shutil.copy(str(site.engine.url.database), own_disk / "headway.db")
    engine = make_engine(f"sqlite:///{own_disk}/headway.db")
    moved = settings.model_copy(update={"data_dir": own_disk})
    yield Site(replace(site.services, settings=moved, engine=engine))
    engine.dispose()


@pytest.fixture
def app(crowded: Site) -> Iterator[TestClient]:
    application = create_app(crowded.services)
    with TestClient(application, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def test_below_the_reserve_hooks_are_still_stored_and_the_server_is_not_ready(crowded: Site, app: TestClient) -> None:
    secret = crowded.add_repo().secret
    fill(crowded.services.settings.data_dir, free_bytes=5 * 1024**2)
    assert send(app, secret).status_code == 202
    answer = app.get("/readyz")
    assert (answer.status_code, answer.json()["ready"], answer.json()["database"]) == (503, False, "ok")
    assert "less than the reserve" in answer.json()["disk"]


@pytest.mark.slow
def test_on_a_full_disk_hooks_and_changes_are_refused_with_503_and_taken_when_there_is_room(
    crowded: Site, app: TestClient
) -> None:
    secret = crowded.add_repo().secret
    app.headers["authorization"] = f"Bearer {crowded.token(crowded.add_user())}"
    ballast = fill(crowded.services.settings.data_dir)
    statuses = set()
    for number in range(400):
        hook = send(app, secret, delivery=f"d{number}")
        put = app.put(f"/api/repos/{REPO}/secrets/key", json={"value": "x" * 60_000})
        statuses |= {hook.status_code, put.status_code}
        if hook.status_code == put.status_code == 503:
            break
    assert statuses <= {202, 204, 503}
    for answer in (hook, put):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert answer.json()["error"].startswith("The server's disk is full")
    assert app.get("/readyz").status_code == 503
    assert app.get("/healthz").status_code == 200
    ballast.unlink()
    assert send(app, secret, delivery="again").status_code == 202
    assert app.get("/readyz").json()["ready"] is True


@pytest.mark.slow
def test_on_a_full_disk_the_ballast_lets_hooks_in_at_once(crowded: Site, app: TestClient) -> None:
    secret, ballast = crowded.add_repo().secret, Ballast(crowded.services.settings.data_dir)
    assert ballast.restore(0)
    fill(crowded.services.settings.data_dir)
    statuses = [send(app, secret, {**PUSH, "message": f"{number}"}).status_code for number in range(20)]
    assert set(statuses) == {202}
    assert not ballast.path.exists()


@pytest.mark.postgres
@pytest.mark.slow
def test_a_full_disk_of_postgresql_is_said_by_hooks_and_readyz(
    site: Site, own_disk: Path, postgres_server: PostgresServer
) -> None:
    with database_on(own_disk, postgres_server) as url:
        engine = make_engine(url)
        upgrade(engine)
        crowded = Site(replace(site.services, engine=engine))
        secret = crowded.add_repo().secret
        with TestClient(create_app(crowded.services), base_url="http://localhost") as app:
            ballast = fill(own_disk)
            hooks = [send(app, secret, {**PUSH, "message": f"{n}" * 9_000}, delivery=f"d{n}") for n in range(40)]
            assert {hook.status_code for hook in hooks} <= {202, 503}
            refused = next(hook for hook in hooks if hook.status_code == 503)
            assert refused.headers["retry-after"] == "30"
            assert refused.json()["error"].startswith("The server's disk is full")
            ready = app.get("/readyz")
            assert (ready.status_code, ready.json()["database"]) == (503, "ok")
            assert "the database's disk was full" in ready.json()["disk"]
            assert not was_full(engine, time.monotonic() + NOTED_S)
            ballast.unlink()
            assert send(app, secret, delivery="again").status_code == 202
        engine.dispose()
