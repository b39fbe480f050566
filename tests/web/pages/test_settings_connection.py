"""What the settings page says of deliveries, and of secrets that are not the repository's own."""

from starlette.testclient import TestClient

from tests.support.people import OPERATOR
from tests.web.conftest import REPO, Site
from web.operations.repos import secrets


def test_the_settings_page_shows_refused_deliveries_and_shared_secrets(site: Site, browser: TestClient) -> None:
    site.add_repo()
    page = browser.get(f"/repos/{REPO}/settings").text
    assert "The forge has sent nothing yet." in page
    browser.post(f"/hooks/{REPO}", content=b"{}")
    secrets.put(site.services, OPERATOR, "acme/*", "npm", "of the owner")
    secrets.put(site.services, OPERATOR, "other/*", "hidden_one", "of another")
    page = browser.get(f"/repos/{REPO}/settings").text
    assert "not signed with this webhook" in page
    assert "<code>acme/*</code>" in page
    assert "of the owner" not in page
    assert "hidden_one" not in page
