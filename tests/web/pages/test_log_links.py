"""Links to lines, places that are kept, copies, and escape sequences, on a run's page in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from pipelines.state import Outcome, Reason, State
from runner.events import StepStarted
from tests.web.conftest import REPO, Site
from tests.web.pages.log_pages import LINE, Writer, flood, run_page

pytestmark = pytest.mark.browser


def marked(page: Page) -> list[str]:
    found: list[str] = page.locator(".line.marked").evaluate_all("all => all.map(({ id }) => id)")
    return found


def test_a_link_names_the_step_and_a_range_of_lines(site: Site, page: Page) -> None:
    begun = site.begin()
    flood(begun, 5_000)
    with begun.recorder() as record:
        record(StepStarted(3))
    page.goto(f"/repos/{REPO}/runs/{begun.queued.number}#test-L1203-L1200")
    expect(page.locator("#L1200")).to_be_in_viewport()
    assert f"step={begun.steps[2]}" in page.url, "another step would be shown by itself"
    assert marked(page) == ["L1200", "L1201", "L1202", "L1203"]
    page.locator("#L1202 > a").click()
    assert page.url.endswith("#test-L1202")
    page.locator("#L1204 > a").click(modifiers=["Shift"])
    assert page.url.endswith("#test-L1202-L1204")
    assert marked(page) == ["L1202", "L1203", "L1204"]
    page.evaluate("location.hash = '#L3'")
    expect(page.locator("#L3")).to_be_in_viewport()
    assert marked(page) == ["L3"]
    expect(page.locator("#log .line > a[tabindex='-1']").first).to_be_attached()
    assert page.locator("#log .line > a:not([tabindex='-1'])").count() == 0


def test_a_click_on_a_number_does_not_end_following(site: Site, page: Page) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        writer = Writer(record)
        page.goto(run_page(begun))
        writer(b"".join(LINE % number for number in range(1, 201)))
        page.locator("#L199 > a").click()
        writer(LINE % 201 * 100)
        expect(page.locator("#L300")).to_be_in_viewport()
        writer.finish()
    assert page.url.endswith("#test-L199")


def test_reload_and_back_return_to_the_place(site: Site, page: Page) -> None:
    begun = site.begin()
    flood(begun, 5_000)
    page.goto(run_page(begun))
    page.locator("#log").press("g")
    page.keyboard.type("3,000\n")
    expect(page.locator("#L3000")).to_be_in_viewport()
    page.mouse.move(*_middle(page))
    page.mouse.wheel(0, 5_000)
    expect(page.locator("#L3000")).not_to_be_in_viewport()
    number = page.evaluate(
        """async () => {
            const number = () => history.state?.log?.number;
            while (!(number() > 3000 && number() < 4000)) await new Promise((resolve) => setTimeout(resolve, 20));
            return number() + 3;
        }"""
    )
    for there_and_back in (page.reload, lambda: (page.goto("/"), page.go_back())):
        there_and_back()
        expect(page.locator(f"#L{number}")).to_be_in_viewport()


def _middle(page: Page) -> tuple[float, float]:
    box = page.locator("#log").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_selection_is_copied_as_it_was_written(site: Site, page: Page) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        writer = Writer(record)
        writer(b"first\n\n\n  \x1b[31mred\x1b[0m and more\nlast")
        writer.finish()
    page.goto(run_page(begun))
    copied = page.evaluate(
        """async () => {
            while (!document.querySelector("#L5")?.line) await new Promise(requestAnimationFrame);
            const text = (id) => document.querySelector(`#${id} > span`);
            getSelection().setBaseAndExtent(text("L1").firstChild, 2, text("L5").firstChild, 3);
            const event = new ClipboardEvent("copy", {
                clipboardData: new DataTransfer(), bubbles: true, cancelable: true,
            });
            text("L5").dispatchEvent(event);
            return event.clipboardData.getData("text/plain");
        }"""
    )
    assert copied == "rst\n\n\n  red and more\nlas"


def test_escape_sequences_are_drawn(site: Site, page: Page) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        writer = Writer(record)
        writer(b"\x1b[7mreverse\x1b[0m \x1b[1;9;4mstruck\x1b[0m \x1b[38;5;208mtable\x1b[0m \x1b[48;2;1;2;3mrgb\n")
        writer(b"goes on\x1b[0m \x1b]8;;https://example.test/\x1b\\link\x1b]8;;\x1b\\\n")
        writer.finish(Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1", 1))
    page.goto(run_page(begun))
    line = page.locator("#L1 > span")
    expect(line).to_have_text("reverse struck table rgb")
    expect(line.get_by_text("reverse")).to_have_class("ansi-reverse ansi-reverse-fg ansi-reverse-bg")
    expect(line.get_by_text("struck")).to_have_css("text-decoration-line", "underline line-through")
    expect(line.get_by_text("table")).to_have_css("color", "rgb(255, 135, 0)")
    expect(line.get_by_text("rgb")).to_have_css("background-color", "rgb(1, 2, 3)")
    expect(page.locator("#L2").get_by_text("goes on")).to_have_css("background-color", "rgb(1, 2, 3)")
    expect(page.locator("#L2").get_by_role("link", name="link", exact=True)).to_have_attribute(
        "rel", re.compile("noopener")
    )
