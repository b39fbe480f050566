"""The terminal in a real browser, with a real worker and a real container."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from runner.docker.client import Engine
from tests.e2e.browser import chromium, no_errors
from tests.support.shells import running_step
from tests.support.working import PushWorker
from tests.web.conftest import Site, serving
from tests.web.pages.log_pages import PATIENCE_MS, log_in
from web.security.auth import hashed, new_secret
from workers import store
from workers.db.roles import Role
from workers.db.session import transaction
from workers.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.engine]
REPO = "acme/roof"


@pytest.fixture
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def worker(settings: Settings, engine: Engine, tmp_path: Path) -> Iterator[PushWorker]:
    worker = PushWorker(settings, tmp_path)
    yield worker
    worker.close()


def test_a_shell_in_the_browser_from_the_button_to_its_end(site: Site, worker: PushWorker, chrome: Browser) -> None:
    with serving(site.services) as url, running_step(worker) as running:
        context = chrome.new_context(viewport={"width": 390, "height": 800})
        log_in(site, context, url)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        with no_errors(context):
            page.goto(f"{url}/repos/{REPO}/runs/1?step={running.step.id}")
            assert not page.evaluate("performance.getEntriesByType('resource').some(each => /xterm/.test(each.name))")
            page.get_by_role("link", name="Shell", exact=True).click()
            expect(page.locator("#shell-state")).to_be_hidden(timeout=PATIENCE_MS)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.keyboard.type("printf '\\033[38;2;1;200;3m%s\\033[0m\\n' green-$((40 + 2))\n")
            expect(page.locator(".xterm-rows")).to_contain_text("green-42", timeout=PATIENCE_MS)
            colour = "[...document.querySelectorAll('.xterm-rows span')].find(e => e.textContent === 'green-42')"
            assert page.evaluate(f"getComputedStyle({colour}).color") == "rgb(1, 200, 3)"
            page.keyboard.press("Control+Shift+L")
            assert page.evaluate("document.activeElement.textContent") == "Back to the step"
            page.locator(".xterm-helper-textarea").focus()
            page.keyboard.type("touch ../end\n")
            state = page.locator("#shell-state")
            expect(state).to_have_text("The step has ended, and the shell with it.", timeout=PATIENCE_MS)
            expect(page.get_by_role("button", name="Open another shell")).to_be_visible()
        context.close()


def test_a_reader_has_no_button_and_no_page(site: Site, worker: PushWorker, chrome: Browser) -> None:
    with serving(site.services) as url, running_step(worker, "sleep 4") as running:
        secret = new_secret()
        user = site.add_user("rita", is_admin=False)
        site.give_role("rita", Role.READ, REPO)
        with transaction(site.engine) as session:
            store.add_session(session, user, hashed(secret), 3600)
        context = chrome.new_context()
        context.add_cookies([{"name": "headway", "value": secret, "url": url}])
        page = context.new_page()
        page.goto(f"{url}/repos/{REPO}/runs/1?step={running.step.id}")
        expect(page.get_by_role("heading", name="waits", exact=True)).to_be_visible()
        expect(page.get_by_role("link", name="Shell", exact=True)).to_have_count(0)
        answer = page.goto(f"{url}/repos/{REPO}/runs/1/shell/{running.step.id}")
        assert answer is not None
        assert answer.status == 403
        context.close()
