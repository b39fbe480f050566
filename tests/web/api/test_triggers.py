"""What starts runs, from the API and from the repository's page: by hand, and crons."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines.trigger import Event, Trigger
from tests.web.conftest import REPO, Site
from tests.web.pages.test_pages import HOSTILE, assert_no_foreign_markup
from workers import store
from workers.db.session import db_now_ms, reading
from workers.triggers.crons import start_due

RUNS, CRONS = f"/api/repos/{REPO}/runs", f"/api/repos/{REPO}/crons"
PAGE = f"/repos/{REPO}"


@pytest.fixture(autouse=True)
def repo(site: Site) -> None:
    site.add_repo()


@pytest.fixture
def guest(site: Site, client: TestClient) -> TestClient:
    """A program of somebody who is no administrator."""
    client.headers["authorization"] = f"Bearer {site.token(site.add_user('bob', is_admin=False))}"
    return client


def trigger(site: Site, number: int = 1) -> Trigger:
    return store.trigger_of(site.run(number))


def put(client: TestClient, name: str = "nightly", **cron: Any) -> dict[str, Any]:
    answer = client.put(f"{CRONS}/{name}", json={"expression": "30 2 * * *", **cron})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_run_is_started_by_hand_and_a_worker_is_rung(site: Site, program: TestClient) -> None:
    answer = program.post(RUNS, json={"branch": "topic", "inputs": {"TARGET": "staging"}})
    assert answer.status_code == 202
    assert answer.json() == {"run": 1, "url": f"http://localhost:8080/repos/{REPO}/runs/1"}
    assert len(site.woken) == 1
    started = trigger(site)
    assert (started.event, started.ref, started.sha) == (Event.MANUAL, "refs/heads/topic", "")
    assert (started.sender, started.inputs) == ("ada", {"TARGET": "staging"})


def test_a_deployment_is_started_by_hand(site: Site, guest: TestClient) -> None:
    body = {"event": "deployment", "target": "production", "tag": "v1"}
    assert guest.post(RUNS, json=body).status_code == 202
    started = trigger(site)
    assert (started.event, started.deploy_target, started.ref) == (Event.DEPLOYMENT, "production", "refs/tags/v1")
    assert started.sender == "bob"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"branch": "a b"}, "cannot be a branch"),
        ({"event": "deployment"}, "needs a target"),
        ({"event": "push"}, "event"),
        ({"inputs": {"CI_X": "1"}}, "Headway's own"),
        ({"inputs": {"A": 1}}, "inputs.A"),
        ({"brunch": "x"}, "brunch"),
    ],
)
def test_a_run_that_cannot_be_is_refused_with_a_sentence(
    site: Site, program: TestClient, body: dict[str, Any], why: str
) -> None:
    answer = program.post(RUNS, json=body)
    assert answer.status_code == 422
    assert why in answer.json()["error"]
    assert site.runs() == 0


def test_what_is_not_there_is_said(program: TestClient) -> None:
    assert program.post("/api/repos/none/runs", json={}).status_code == 404
    assert program.get("/api/repos/none/crons").status_code == 404
    assert "no cron named x" in program.delete(f"{CRONS}/x").json()["error"]
    assert "no cron named x" in program.post(f"{CRONS}/x/run").json()["error"]


def test_a_cron_is_kept_shown_changed_and_removed(site: Site, program: TestClient) -> None:
    first = put(program, zone="Europe/Berlin", inputs={"A": "1"})
    assert first["enabled"]
    assert first["next_ms"] > site.run(site.queue().number).created_ms
    assert program.get(CRONS).json() == [first]
    off = put(program, enabled=False)
    assert (off["enabled"], off["next_ms"], off["zone"], off["inputs"]) == (False, None, "UTC", {})
    assert program.delete(f"{CRONS}/nightly").status_code == 204
    assert program.get(CRONS).json() == []


def test_a_cron_names_the_run_that_it_started_last(site: Site, program: TestClient) -> None:
    put(program, "each minute", expression="* * * * *")
    with reading(site.engine) as session:
        now_ms = db_now_ms(session)
    start_due(site.engine, now_ms + 60_000)
    assert put(program, "each minute", expression="@daily")["last_run"] == 1
    assert program.post(f"{CRONS}/each minute/run").json()["run"] == 2
    assert program.get(CRONS).json()[0]["last_run"] == 2
    assert trigger(site, 2).sender == "ada"


def test_a_wrong_cron_is_refused_with_a_sentence(program: TestClient) -> None:
    for wrong in ({"expression": "often"}, {"expression": "@daily", "zone": "Moon"}):
        answer = program.put(f"{CRONS}/nightly", json=wrong)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(("'often' is no cron", "There is no time zone 'Moon'"))


def test_only_an_administrator_changes_crons(guest: TestClient) -> None:
    assert guest.put(f"{CRONS}/x", json={"expression": "@daily"}).status_code == 403
    assert guest.delete(f"{CRONS}/x").status_code == 403


def test_the_form_of_the_page_starts_a_run_and_leads_there(site: Site, browser: TestClient) -> None:
    assert f'action="{PAGE}/runs"' in browser.get(PAGE).text
    form = {"branch": " topic ", "inputs": "A=1\r\nB=x=y\r\n", "target": "staging"}
    answer = browser.post(f"{PAGE}/runs", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}/runs/1")
    assert trigger(site).inputs == {"A": "1", "B": "x=y"}
    assert trigger(site).event is Event.DEPLOYMENT
    assert "deployment of" in browser.get(PAGE).text


def test_a_form_that_cannot_be_followed_says_why_on_the_page(site: Site, browser: TestClient) -> None:
    for path, form, why in (
        ("runs", {"branch": HOSTILE}, "cannot be a branch"),
        ("runs", {"inputs": HOSTILE}, "write NAME=VALUE"),
        ("crons", {"cron": "x", "expression": HOSTILE}, "is no cron expression"),
    ):
        answer = browser.post(f"{PAGE}/{path}", data=form)
        assert answer.status_code == 422
        assert why in answer.text
        assert_no_foreign_markup(answer.text)
    assert site.runs() == 0


def test_a_form_that_is_refused_keeps_what_was_written(site: Site, browser: TestClient) -> None:
    text = browser.post(f"{PAGE}/runs", data={"branch": "topic", "tag": "v1", "inputs": "A=1"}).text
    assert 'value="topic"' in text
    assert ">A=1</textarea>" in text
    text = browser.post(f"{PAGE}/crons", data={"cron": "nightly", "expression": "often", "zone": "Asia/Tokyo"}).text
    assert 'value="nightly"' in text
    assert 'value="Asia/Tokyo"' in text


def test_crons_are_kept_switched_run_and_removed_on_the_page(site: Site, browser: TestClient) -> None:
    form = {"cron": "nightly", "expression": "30 2 * * *", "zone": "Asia/Kolkata", "branch": "", "inputs": ""}
    assert browser.post(f"{PAGE}/crons", data=form).headers["location"] == f"{PAGE}#crons"
    text = browser.get(PAGE).text
    assert "02:30 IST" in text
    assert 'aria-label="Switch nightly off"' in text
    browser.post(f"{PAGE}/crons/switch", data={"cron": "nightly", "on": "false"})
    assert 'aria-label="Switch nightly on"' in browser.get(PAGE).text
    browser.post(f"{PAGE}/crons/switch", data={"cron": "nightly", "on": "true"})
    assert "02:30 IST" in browser.get(PAGE).text
    answer = browser.post(f"{PAGE}/crons/run", data={"cron": "nightly"})
    assert answer.headers["location"] == f"{PAGE}/runs/1"
    assert (trigger(site).event, trigger(site).sender) == (Event.CRON, "ada")
    browser.post(f"{PAGE}/crons/delete", data={"cron": "nightly"})
    assert "nightly" not in browser.get(PAGE).text.partition('id="crons"')[2].replace('placeholder="nightly"', "")


def test_whoever_is_no_administrator_sees_crons_and_may_run_them(site: Site, browser: TestClient) -> None:
    browser.post(f"{PAGE}/crons", data={"cron": "nightly", "expression": "@daily"})
    browser.cookies.clear()
    link = site.login_link("bob", is_admin=False)
    browser.post("/login", data={"link": link})
    text = browser.get(PAGE).text
    assert 'aria-label="Run nightly now"' in text
    assert f'action="{PAGE}/crons/delete"' not in text
    assert browser.post(f"{PAGE}/crons/delete", data={"cron": "nightly"}).status_code == 403
    assert browser.post(f"{PAGE}/crons/run", data={"cron": "nightly"}).status_code == 303
