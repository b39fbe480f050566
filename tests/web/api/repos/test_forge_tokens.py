"""Tokens of forges, as JSON, and on the settings page."""

from starlette.testclient import TestClient

from tests.support.people import OPERATOR
from tests.web.conftest import REPO, Site
from web.operations.repos import forge_tokens
from workers.db.models import Repo
from workers.db.roles import Role
from workers.db.session import reading

OWNERS = "/api/repos/acme/*/settings/forge-tokens"
OF_REPO = f"/api/repos/{REPO}/settings/forge-tokens"


def test_a_token_of_an_owner_is_put_listed_and_removed(site: Site, program: TestClient) -> None:
    site.add_repo(forge="gitlab")
    assert program.put(OWNERS, json={"token": "tok-secret", "host": "git.test"}).status_code == 204
    found = [{"place": "acme/*", "host": "https://git.test", "api_url": ""}]
    assert program.get(OWNERS).json() == program.get(OF_REPO).json() == found
    assert program.put(OF_REPO, json={"token": "tok-own"}).status_code == 204
    assert [each["place"] for each in program.get(OF_REPO).json()] == [REPO]
    assert program.delete(OF_REPO).status_code == 204
    assert program.get(OF_REPO).json() == found
    assert program.delete(OWNERS, params={"host": "git.test"}).status_code == 204
    assert program.delete(OWNERS, params={"host": "git.test"}).status_code == 404
    assert program.get(OF_REPO).json() == []
    refused = program.put(OWNERS, json={"token": "two words", "host": "git.test"})
    assert refused.status_code == 422
    assert "two words" not in refused.text


def test_an_owners_token_and_the_address_of_an_api_are_for_administrators(site: Site, client: TestClient) -> None:
    site.add_repo(forge="gitlab")
    user = site.add_user("bob", is_admin=False)
    site.give_role("bob", Role.ADMIN)
    headers = {"authorization": f"Bearer {site.token(user)}"}
    for place in ("acme/*", "*"):
        path = f"/api/repos/{place}/settings/forge-tokens"
        assert client.get(path, headers=headers).status_code == 403
        assert client.put(path, json={"token": "t", "host": "git.test"}, headers=headers).status_code == 403
        assert client.delete(path, params={"host": "git.test"}, headers=headers).status_code == 403
    api = {"token": "t", "api_url": "http://127.0.0.1:6379/"}
    assert client.put(OF_REPO, json=api, headers=headers).status_code == 403
    assert client.put(OF_REPO, json={"token": "t"}, headers=headers).status_code == 204
    with reading(site.engine) as session:
        assert session.query(Repo).one().forge_api_url == ""


def test_the_settings_page_says_whose_token_is_used(site: Site, browser: TestClient) -> None:
    site.add_repo(forge="gitlab")
    forge_tokens.put(site.services, OPERATOR, "acme/*", "tok-secret", "other.test")
    assert "Headway reports no statuses" in browser.get(f"/repos/{REPO}/settings").text
    forge_tokens.put(site.services, OPERATOR, "acme/*", "tok-secret", "git.test")
    page = browser.get(f"/repos/{REPO}/settings").text
    assert "with the token of <code>acme/*</code> for <code>https://git.test</code>" in page
    assert "tok-secret" not in page
