"""The token for commit statuses: how it is set and stored, and where errors of reporting are shown."""

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from starlette.testclient import TestClient

from tests.support.people import OPERATOR
from tests.web.cli.command import Headway
from tests.web.conftest import REPO, Site
from web.operations.errors import NotFoundError
from web.operations.repos import repos
from workers import store
from workers.db.models import Repo, Status
from workers.db.session import make_engine, reading, transaction
from workers.secrets.vault import forge_place, open_vault
from workers.settings import Settings

TOKEN = "ghp_4Zq"


@pytest.fixture
def headway(headway: Headway) -> Headway:
    headway.ok("repo", "add", "https://github.com/acme/harbour.git")
    return headway


def stored(headway: Headway) -> tuple[str, str]:
    """The token and the API's address from the database."""
    settings = Settings(data_dir=headway.folder, secret_keys=SecretStr(headway.env["HEADWAY_SECRET_KEYS"]))
    engine = make_engine(settings.database)
    with reading(engine) as session:
        repo = session.query(Repo).one()
    engine.dispose()
    sealed = repo.forge_token_sealed
    assert TOKEN not in sealed
    return sealed and open_vault(settings).unseal(forge_place(repo.id), sealed), repo.forge_api_url


@pytest.mark.slow
def test_the_token_comes_from_standard_input_and_is_sealed(headway: Headway) -> None:
    assert headway.ok("repo", "token", REPO, stdin=f"{TOKEN}\n") == ""
    assert stored(headway) == (TOKEN, "")


@pytest.mark.slow
def test_the_address_of_the_api_is_set_and_removed_with_the_token(headway: Headway) -> None:
    api = "https://acme.test/git/api/v1"
    headway.ok("repo", "token", REPO, "--api", api, stdin=TOKEN)
    assert stored(headway) == (TOKEN, api)
    headway.ok("repo", "token", REPO, "--forget")
    assert stored(headway) == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "grün"])
def test_an_invalid_token_is_refused(headway: Headway, token: str) -> None:
    assert "That is no token" in headway.refused("repo", "token", REPO, stdin=token)


@pytest.mark.slow
def test_an_invalid_address_of_an_api_is_refused(headway: Headway) -> None:
    assert "no address of an API" in headway.refused("repo", "token", REPO, "--api", "git.test", stdin=TOKEN)


@pytest.mark.slow
def test_a_plain_git_repository_needs_no_token(headway: Headway) -> None:
    headway.ok("repo", "add", "/srv/roof.git")
    assert "there is no forge to report to" in headway.refused("repo", "token", "roof", stdin=TOKEN)


def test_an_error_of_reporting_is_shown_on_the_runs_page_and_in_the_api(site: Site, browser: TestClient) -> None:
    site.add_repo(forge="github")
    repos.set_forge_token(site.services, OPERATOR, REPO, TOKEN)
    queued = site.queue()
    assert "verdict broken" not in browser.get(f"/repos/{REPO}/runs/1").text
    trouble = "the forge refused the commit status: 401"
    with transaction(site.engine) as session:
        session.execute(update(Status).values(reason=trouble, next_try_ms=None, tries=1))
    assert f'<p class="verdict broken">{trouble}</p>' in browser.get(f"/repos/{REPO}/runs/1").text
    assert browser.get(f"/api/repos/{REPO}/runs/1").json()["forge_trouble"] == trouble
    repos.set_forge_token(site.services, OPERATOR, REPO, "ghp_new")
    with reading(site.engine) as session:
        assert list(store.pending_statuses(session)) == [queued.run_id]


def test_the_settings_page_says_whether_statuses_are_reported(site: Site, browser: TestClient) -> None:
    site.add_repo(forge="github")
    assert "Headway reports no statuses" in browser.get(f"/repos/{REPO}/settings").text
    repos.set_forge_token(site.services, OPERATOR, REPO, TOKEN)
    page = browser.get(f"/repos/{REPO}/settings").text
    assert "Headway reports the status of each run" in page
    assert TOKEN not in page


def test_a_token_for_a_missing_repository_is_refused(site: Site) -> None:
    with pytest.raises(NotFoundError, match="no repository named acme/harbour"):
        repos.set_forge_token(site.services, OPERATOR, REPO, TOKEN)
