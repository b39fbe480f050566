"""A page in a real browser, with a login, of a site that runs on a real socket."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import chromium, no_errors
from tests.web.conftest import Site
from tests.web.pages.log_pages import PATIENCE_MS, log_in


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(site: Site, live_url: str, chrome: Browser) -> Iterator[Page]:
    """A page with a login. The test fails if a script reports an error."""
    site.add_repo()
    context = chrome.new_context(base_url=live_url, timezone_id="UTC", locale="en-GB")
    log_in(site, context, live_url)
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    with no_errors(context):
        yield context.new_page()
        context.close()
