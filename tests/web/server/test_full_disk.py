"""A full disk under the server: what cannot be stored is answered 503, and /readyz tells the truth."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.disks import fill
from tests.web.conftest import REPO, Site
from tests.web.hooks.test_endpoint import PUSH, send
from web.server.app import create_app
from workers.ballast import Ballast
from workers.db.session import make_engine
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
