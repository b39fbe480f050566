"""The pages of deliveries: the list with its filter, one delivery, and its button."""

import re

from sqlalchemy import delete, select
from starlette.testclient import TestClient

from tests.web.api.repos.test_deliveries import PUSH, send
from tests.web.conftest import REPO, SHA, Site
from web.pages.deliveries import DELIVERIES_ON_A_PAGE, PAYLOAD_CHARS_SHOWN
from workers import store
from workers.db.delivery_states import DeliveryKind
from workers.db.models import Delivery, DeliveryPayload, Head, HeadCheck
from workers.db.session import reading, transaction
from workers.store import NewDelivery

PATH = f"/repos/{REPO}/deliveries"


def newest(site: Site) -> int:
    with reading(site.engine) as session:
        return session.scalars(select(Delivery.id).order_by(Delivery.id.desc())).first() or 0


def test_the_settings_lead_to_the_list_and_that_to_each_delivery(site: Site, browser: TestClient) -> None:
    secret = site.add_repo().secret
    assert "sent nothing yet" in browser.get(PATH).text
    send(browser, secret, PUSH)
    assert f'href="{PATH}"' in browser.get(f"/repos/{REPO}/settings").text
    for page in (PATH, f"/repos/{REPO}/settings"):
        text = browser.get(page).text
        assert f'href="{PATH}/{newest(site)}"' in text
        assert f'href="/repos/{REPO}/runs/1"' in text


def test_the_list_is_filtered_and_goes_back(site: Site, browser: TestClient) -> None:
    secret = site.add_repo().secret
    send(browser, secret, b"no json")
    refused = newest(site)
    with transaction(site.engine) as session:
        found = store.repo_by_name(session, REPO)
        assert found is not None
        for number in range(DELIVERIES_ON_A_PAGE):
            store.record_delivery(session, found.id, NewDelivery(str(number), reason="a test"))
    first = browser.get(PATH).text
    older = re.search(r'href="([^"]+before=\d+)"', first)
    assert older is not None
    assert f'href="{PATH}/{refused}"' not in first
    assert f'href="{PATH}/{refused}"' in browser.get(older[1]).text
    assert f'href="{PATH}/{refused}"' in browser.get(f"{PATH}?state=refused").text
    assert "none of this kind" in browser.get(f"{PATH}?state=accepted").text
    assert "nothing older" in browser.get(f"{PATH}?before={refused}").text
    assert browser.get(f"{PATH}?state=odd").status_code == 422


def test_a_delivery_is_shown_and_its_button_leads_to_the_new_one(site: Site, browser: TestClient) -> None:
    send(browser, site.add_repo().secret, PUSH | {"message": "<b>\u202e</b>"}, {"x-headway-delivery": "d1"})
    page = f"{PATH}/{newest(site)}"
    text = browser.get(page).text
    assert "<b>" not in text
    assert "\u202e" not in text
    assert "x-headway-signature" in text
    answer = browser.post(f"{page}/replay")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}/{newest(site)}")
    shown = browser.get(answer.headers["location"]).text
    assert f'replay of <a href="{page}">' in shown
    assert f'href="/repos/{REPO}/runs/2"' in shown


def test_a_payload_that_is_gone_has_no_button_and_a_reason(site: Site, browser: TestClient) -> None:
    send(browser, site.add_repo().secret, PUSH)
    with transaction(site.engine) as session:
        session.execute(delete(DeliveryPayload))
    page = f"{PATH}/{newest(site)}"
    assert "/replay" not in browser.get(page).text
    answer = browser.post(f"{page}/replay")
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert "not kept any more" in answer.text


def test_a_long_payload_is_cut_and_says_so(site: Site, browser: TestClient) -> None:
    secret = site.add_repo().secret
    for chars, cut in ((PAYLOAD_CHARS_SHOWN, False), (PAYLOAD_CHARS_SHOWN + 1, True)):
        send(browser, secret, b"x" * chars)
        assert ("This is its beginning" in browser.get(f"{PATH}/{newest(site)}").text) is cut


def test_a_push_that_headway_found_says_so(site: Site, browser: TestClient) -> None:
    site.add_repo()
    with transaction(site.engine) as session:
        found = store.repo_by_name(session, REPO)
        assert found is not None
        new = NewDelivery("found", "push", kind=DeliveryKind.FOUND, ref="refs/heads/main", reason="No webhook.")
        store.record_delivery(session, found.id, new)
    assert "found by Headway" in browser.get(PATH).text
    answer = browser.post(f"{PATH}/{newest(site)}/replay")
    assert answer.status_code == 409
    assert "No webhook brought it" in answer.text


def test_pages_say_that_a_push_reached_no_run_until_it_has_one(site: Site, browser: TestClient) -> None:
    site.add_repo()
    with transaction(site.engine) as session:
        found = store.repo_by_name(session, REPO)
        assert found is not None
        head = {"repo_id": found.id, "ref": "refs/heads/main", "sha": SHA, "commit_sha": SHA, "state": "missed"}
        session.add(Head(first_seen_ms=1, **head))
        session.add(HeadCheck(repo_id=found.id, next_ms=0, problem="the server <b>said</b> no"))
    for page in (f"/repos/{REPO}", f"/repos/{REPO}/settings"):
        assert "reached no run" in browser.get(page).text
    assert "the server &lt;b&gt;said&lt;/b&gt; no" in browser.get(f"/repos/{REPO}/settings").text
    site.queue()
    for page in (f"/repos/{REPO}", f"/repos/{REPO}/settings"):
        assert "reached no run" not in browser.get(page).text
