"""A renamed repository under its former names: pages, API, webhooks, and who sees it."""

import hashlib
import hmac
import json

import pytest
from starlette.testclient import TestClient

from tests.support.people import OPERATOR
from tests.web.conftest import REPO, SHA, Site
from web.operations.repos import addresses
from workers.db.roles import Role

NEW = "acme/pier"
PUSH = {"ref": "refs/heads/main", "before": "0" * 40, "after": SHA, "deleted": False}


@pytest.fixture
def secret(site: Site) -> str:
    """The webhook's secret of a repository with one run that has been renamed."""
    made = site.add_repo(forge="gitea").secret
    site.queue()
    addresses.rename(site.services, OPERATOR, REPO, NEW)
    return made


def deliver(client: TestClient, name: str, secret: str) -> int:
    body = json.dumps({**PUSH, "commits": [], "repository": {"full_name": REPO}, "delivery": name}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-gitea-event": "push", "x-gitea-signature": signature, "content-type": "application/json"}
    return client.post(f"/hooks/{name}", content=body, headers={**headers, "x-gitea-delivery": name}).status_code


@pytest.mark.parametrize(
    "path", ["/repos/{}", "/repos/{}/runs/1", "/repos/{}/settings", "/api/repos/{}", "/api/repos/{}/runs"]
)
def test_pages_and_the_api_answer_under_both_names(browser: TestClient, secret: str, path: str) -> None:
    assert [browser.get(path.format(name)).status_code for name in (NEW, REPO)] == [200, 200]
    assert browser.get(path.format("acme/never")).status_code == 404


def test_the_webhook_answers_under_both_names_with_the_same_secret(client: TestClient, secret: str) -> None:
    assert [deliver(client, name, secret) for name in (NEW, REPO)] == [202, 202]
    assert deliver(client, REPO, "another secret") == deliver(client, "acme/never", secret) == 404


def test_a_former_name_shows_nothing_to_who_may_not_see_it(site: Site, guest: TestClient, secret: str) -> None:
    assert guest.get(f"/api/repos/{REPO}").status_code == 404
    site.give_role("bob", Role.READ, NEW)
    assert guest.get(f"/api/repos/{REPO}").json()["name"] == NEW
    assert guest.get(f"/api/repos/{REPO}/settings").status_code == 403


def test_the_api_renames_and_shows_settings(program: TestClient, secret: str) -> None:
    answer = program.put(f"/api/repos/{NEW}/settings/name", json={"name": "acme/quay"})
    assert answer.json() == {"name": "acme/quay", "hook_url": "http://localhost:8080/hooks/acme/quay", "taken_from": ""}
    found = program.get(f"/api/repos/{REPO}/settings").json()
    assert (found["name"], found["former names"]) == ("acme/quay", f"{REPO}, {NEW}")
    assert secret not in str(found)
    assert program.put(f"/api/repos/{NEW}/settings/name", json={"name": "a b"}).status_code == 422
