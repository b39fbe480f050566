"""A repository's page: its runs, the form that starts a run, and its crons."""

import re

import pytest
from starlette.testclient import TestClient

from pipelines.trigger import Event
from tests.web.conftest import REPO, Site, push
from tests.web.pages.test_pages import HOSTILE, assert_no_foreign_markup
from workers.db.roles import Role

PAGE = f"/repos/{REPO}"


@pytest.fixture(autouse=True)
def webhook_secret(site: Site) -> str:
    return site.add_repo().secret


def test_a_repository_without_runs_shows_its_webhook(browser: TestClient, webhook_secret: str) -> None:
    text = browser.get(f"/repos/{REPO}").text
    assert f"http://localhost:8080/hooks/{REPO}" in text
    assert webhook_secret not in text


def test_runs_are_shown_in_pages(site: Site, browser: TestClient) -> None:
    for number in range(1, 34):
        site.queue(push(f"commit number {number}."))
    first = browser.get(f"/repos/{REPO}").text
    assert "commit number 33." in first
    assert "commit number 3." not in first
    older = re.search(r'href="([^"]*before=\d+)"', first)
    assert older
    second = browser.get(older[1]).text
    assert "commit number 3." in second
    assert "Older" not in second


def test_runs_are_filtered_and_the_filter_stays_on_the_next_page(site: Site, browser: TestClient) -> None:
    for number in range(1, 34):
        site.queue(push(f"commit number {number}.", branch="a b" if number % 33 else "main"))
    text = browser.get(f"{PAGE}?branch=main&state=&event=").text
    assert "commit number 33." in text
    assert "commit number 32." not in text
    text = browser.get(f"{PAGE}?branch=a+b&state=queued&event=push").text
    older = re.search(r'href="([^"]*before=\d+[^"]*)"', text)
    assert older
    second = browser.get(older[1].replace("&amp;", "&")).text
    assert "commit number 2." in second
    assert "commit number 33." not in second
    assert "<option selected>queued</option>" in second
    assert "No run is like that." in browser.get(f"{PAGE}?state=broken").text


def test_the_form_starts_a_run_and_redirects_to_it(site: Site, browser: TestClient) -> None:
    assert f'action="{PAGE}/runs"' in browser.get(PAGE).text
    form = {"branch": " topic ", "inputs": "A=1\r\nB=x=y\r\n", "target": "staging"}
    answer = browser.post(f"{PAGE}/runs", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}/runs/1")
    assert site.trigger().inputs == {"A": "1", "B": "x=y"}
    assert site.trigger().event is Event.DEPLOYMENT
    assert "deployment of" in browser.get(PAGE).text


def test_a_refused_form_shows_the_reason_on_the_page(site: Site, browser: TestClient) -> None:
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


def test_a_refused_form_keeps_its_fields(site: Site, browser: TestClient) -> None:
    text = browser.post(f"{PAGE}/runs", data={"branch": "topic", "tag": "v1", "inputs": "A=1"}).text
    assert 'value="topic"' in text
    assert ">A=1</textarea>" in text
    text = browser.post(f"{PAGE}/crons", data={"cron": "nightly", "expression": "often", "zone": "Asia/Tokyo"}).text
    assert 'value="nightly"' in text
    assert 'value="Asia/Tokyo"' in text


def test_crons_are_added_switched_run_and_removed_on_the_page(site: Site, browser: TestClient) -> None:
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
    assert (site.trigger().event, site.trigger().sender) == (Event.CRON, "ada")
    browser.post(f"{PAGE}/crons/delete", data={"cron": "nightly"})
    assert "nightly" not in browser.get(PAGE).text.partition('id="crons"')[2].replace('placeholder="nightly"', "")


def test_a_user_with_the_role_write_sees_crons_and_may_run_them(site: Site, browser: TestClient) -> None:
    browser.post(f"{PAGE}/crons", data={"cron": "nightly", "expression": "@daily"})
    browser.cookies.clear()
    link = site.login_link("bob", is_admin=False)
    site.give_role("bob", Role.WRITE)
    browser.post("/login", data={"link": link})
    text = browser.get(PAGE).text
    assert 'aria-label="Run nightly now"' in text
    assert f'action="{PAGE}/crons/delete"' not in text
    assert browser.post(f"{PAGE}/crons/delete", data={"cron": "nightly"}).status_code == 403
    assert browser.post(f"{PAGE}/crons/run", data={"cron": "nightly"}).status_code == 303
