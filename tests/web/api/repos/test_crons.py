"""Crons, as JSON."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.people import OPERATOR
from tests.web.conftest import REPO, Site
from web.operations.accounts import roles
from web.operations.repos import crons
from web.security.access import Actor
from workers.back_off import BackOff
from workers.db.roles import Role
from workers.db.session import db_now_ms, reading
from workers.triggers.crons import NewCron, start_due

CRONS = f"/api/repos/{REPO}/crons"


@pytest.fixture(autouse=True)
def repo(site: Site) -> None:
    site.add_repo()


def put(client: TestClient, name: str = "nightly", **cron: Any) -> dict[str, Any]:
    answer = client.put(f"{CRONS}/{name}", json={"expression": "30 2 * * *", **cron})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_missing_repository_or_cron_is_answered_404(program: TestClient) -> None:
    assert program.post("/api/repos/none/runs", json={}).status_code == 404
    assert program.get("/api/repos/none/crons").status_code == 404
    assert "no cron named x" in program.delete(f"{CRONS}/x").json()["error"]
    assert "no cron named x" in program.post(f"{CRONS}/x/run").json()["error"]


def test_a_cron_is_added_shown_changed_and_removed(site: Site, program: TestClient) -> None:
    first = put(program, zone="Europe/Berlin", inputs={"A": "1"})
    assert first["enabled"]
    assert first["next_ms"] > site.run(site.queue().number).created_ms
    assert program.get(CRONS).json() == [first]
    off = put(program, enabled=False)
    assert (off["enabled"], off["next_ms"], off["zone"], off["inputs"]) == (False, None, "UTC", {})
    assert program.delete(f"{CRONS}/nightly").status_code == 204
    assert program.get(CRONS).json() == []


def test_a_cron_shows_the_number_of_its_last_run(site: Site, program: TestClient) -> None:
    put(program, "each minute", expression="* * * * *")
    with reading(site.engine) as session:
        now_ms = db_now_ms(session)
    start_due(site.engine, now_ms + 60_000, BackOff())
    assert put(program, "each minute", expression="@daily")["last_run"] == 1
    assert program.post(f"{CRONS}/each minute/run").json()["run"] == 2
    assert program.get(CRONS).json()[0]["last_run"] == 2
    assert site.trigger(2).sender == "ada"


def test_an_invalid_cron_is_refused_with_a_sentence(program: TestClient) -> None:
    for wrong in ({"expression": "often"}, {"expression": "@daily", "zone": "Moon"}):
        answer = program.put(f"{CRONS}/nightly", json=wrong)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(("'often' is no cron", "There is no time zone 'Moon'"))


@pytest.mark.slow
def test_only_an_administrator_of_the_server_vouches_for_inputs(site: Site, program: TestClient) -> None:
    ada = program.headers["authorization"]
    bob = f"Bearer {site.token(site.add_user('bob', is_admin=False))}"
    roles.put(site.services, OPERATOR, REPO, "bob", Role.ADMIN)
    asked: list[tuple[str, dict[str, Any], bool]] = [
        (bob, {"inputs": {"FREE": "1"}}, False),
        (ada, {"inputs": {"FREE": "1"}}, True),
        (bob, {"inputs": {"FREE": "1"}, "expression": "@daily"}, True),
        (bob, {"inputs": {"FREE": "2"}}, False),
        (bob, {"inputs": {"FREE": "1"}}, False),
    ]
    for number, (who, cron, by_admin) in enumerate(asked, 1):
        program.headers["authorization"] = who
        put(program, **cron)
        assert program.post(f"{CRONS}/nightly/run").status_code == 202
        assert site.trigger(number).inputs_by_admin is by_admin


@pytest.mark.slow
def test_switching_a_cron_vouches_for_none_of_its_inputs(site: Site, browser: TestClient) -> None:
    bob = Actor(site.add_user("bob", is_admin=False), "bob", is_admin=False, source="test")
    roles.put(site.services, OPERATOR, REPO, "bob", Role.ADMIN)
    crons.put(site.services, bob, REPO, NewCron("nightly", "@daily", inputs={"FREE": "1"}))
    for on in ("false", "true"):
        assert browser.post(f"/repos/{REPO}/crons/switch", data={"cron": "nightly", "on": on}).status_code == 303
    assert browser.post(f"/repos/{REPO}/crons/run", data={"cron": "nightly"}).status_code == 303
    assert not site.trigger().inputs_by_admin
