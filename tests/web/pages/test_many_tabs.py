"""Many pages of one browser share a connection: browsers allow six to a server."""

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Site
from tests.web.pages.log_pages import Writer, run_page

pytestmark = pytest.mark.browser

WITHOUT_WORKER = "delete globalThis.SharedWorker"
WITH_NOTHING = f"{WITHOUT_WORKER}; delete globalThis.BroadcastChannel"
HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.parametrize(
    ("script", "pages"), [("", 20), (WITHOUT_WORKER, 20), (WITH_NOTHING, 3)], ids=["worker", "elected", "own"]
)
def test_each_of_many_pages_shows_what_happens(site: Site, page: Page, script: str, pages: int) -> None:
    begun = site.begin()
    page.context.add_init_script(script)
    others = [page.context.new_page() for _ in range(pages - 2)]
    front = page.context.new_page()
    front.goto("/")
    for each in (page, *others):
        each.goto(run_page(begun))
    with begun.recorder() as record:
        writer = Writer(record)
        writer(b"the first line\n")
        for each in (page, *others):
            expect(each.locator("#L1 > span")).to_have_text("the first line")
        page.close()  # where pages elect one, this is the first that may lead
        writer(b"the second line\n")
        writer.finish()
    for each in others:
        expect(each.locator("#L2 > span")).to_have_text("the second line")
        expect(each.locator("#log .line")).to_have_count(2)
        expect(each.locator("#run-steps [aria-current]")).to_have_attribute("data-state", "passed")
    site.queue()
    expect(front.locator("#recent")).to_contain_text("#2")


@pytest.mark.parametrize("script", ["", WITHOUT_WORKER, WITH_NOTHING], ids=["worker", "elected", "own"])
def test_a_hidden_page_lets_go_and_catches_up_when_it_is_shown(site: Site, page: Page, script: str) -> None:
    begun = site.begin()
    page.context.add_init_script(script)
    other = page.context.new_page()
    for each in (page, other):
        each.goto(run_page(begun))
    with begun.recorder() as record:
        writer = Writer(record)
        writer(b"one\n")
        for each in (page, other):
            expect(each.locator("#L1 > span")).to_have_text("one")
        page.evaluate(HIDE, True)
        writer(b"two\n")
        expect(other.locator("#L2 > span")).to_have_text("two")
        expect(page.locator("#log .line")).to_have_count(1)
        page.evaluate(HIDE, False)
        expect(page.locator("#L2 > span")).to_have_text("two")
        writer(b"three\n")
        for each in (page, other):
            expect(each.locator("#L3 > span")).to_have_text("three")
            expect(each.locator("#log .line")).to_have_count(3)
        writer.finish()
