"""A repository's settings page: secrets and newest wins."""

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import REPO, Site
from workers import store
from workers.db.session import reading


def newest_wins(site: Site) -> list[str]:
    with reading(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo is not None
        return repo.newest_wins


def test_an_administrator_sets_for_which_events_the_newest_wins(site: Site, browser: TestClient) -> None:
    site.add_repo()
    page = f"/repos/{REPO}/settings"
    assert 'value="pull_request" checked' in browser.get(page).text
    assert browser.post(f"{page}/newest-wins", data={"event": ["push", "pull_request"]}).status_code == 303
    assert newest_wins(site) == ["pull_request", "push"]
    assert browser.post(f"{page}/newest-wins", data={"event": ["tag"]}).status_code == 422
    assert browser.post(f"{page}/newest-wins", data={}).status_code == 303
    assert newest_wins(site) == []


def test_secrets_are_added_and_removed_on_the_settings_page(site: Site, browser: TestClient) -> None:
    site.add_repo()
    path = f"/repos/{REPO}/settings"
    assert browser.post(f"{path}/secrets", data={"secret": "deploy_key", "value": "the value"}).status_code == 303
    text = browser.get(path).text
    assert "deploy_key" in text
    assert "the value" not in text
    assert browser.post(f"{path}/secrets/delete", data={"secret": "deploy_key"}).status_code == 303
    assert "There are none." in browser.get(path).text


@pytest.mark.parametrize("form", [{"secret": "a b", "value": "x"}, {"secret": "key", "value": ""}, {}])
def test_a_refused_secret_is_explained_on_the_page(site: Site, browser: TestClient, form: dict[str, str]) -> None:
    site.add_repo()
    answer = browser.post(f"/repos/{REPO}/settings/secrets", data=form)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
