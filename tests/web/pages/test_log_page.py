"""The log on a run's page, in a real browser."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from pipelines.state import Outcome, Reason, State
from runner.events import Stream
from tests.web.conftest import Site
from tests.web.pages.log_pages import LINE, Writer, flood, run_page

pytestmark = pytest.mark.browser
LINES_MAX = 1_000  # elements at a time, of a log of any length


def test_lines_show_when_they_were_written_and_to_which_output(site: Site, page: Page) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        writer = Writer(record)
        page.goto(run_page(begun))
        writer(b"out\nhalf a ")
        writer(b"err\n", Stream.STDERR)
        writer(b"more err\n", Stream.STDERR)
        writer(b"headway: exited with 1\n", Stream.NOTE)
        writer.finish(Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1", 1))
    expect(page.locator("#L4[data-stream=note] > span")).to_have_text("headway: exited with 1")
    expect(page.locator("#L3")).to_have_attribute("data-stream", "stderr")
    expect(page.locator("#L2")).to_have_attribute("data-stream", "stdout")
    moment = time.strftime("%-d %b %Y, %H:%M:%S.0", time.gmtime(1_793_358_142))
    expect(page.locator("#L3 a")).to_have_attribute("title", f"{moment}, stderr")
    page.get_by_role("button", name="Times").click()
    expect(page.locator("#log")).to_have_class(re.compile("times"))
    page.reload()
    expect(page.get_by_role("button", name="Times")).to_have_attribute("aria-pressed", "true")


def test_a_progress_bar_shows_its_last_state_while_the_raw_log_has_all(site: Site, page: Page) -> None:
    begun = site.begin()
    bar = b"".join(b"\r%d of 300000" % number for number in range(300_001))
    with begun.recorder() as record:
        writer = Writer(record)
        page.goto(run_page(begun))
        writer(b"before\n10%\r20%\r")
        expect(page.locator("#L2 > span")).to_have_text("20%")
        writer(b"done\r\n")
        expect(page.locator("#L2 > span")).to_have_text("done")
        for start in range(0, len(bar), 65_536):
            writer(bar[start : start + 65_536])
        expect(page.locator("#L3 > span")).to_have_text("300000 of 300000")
        writer.finish()
    page.reload()
    expect(page.locator("#L3 > span")).to_have_text("300000 of 300000")
    raw = page.request.get(page.get_by_role("link", name="Raw log").get_attribute("href") or "")
    assert raw.body() == b"before\n10%\r20%\rdone\r\n" + bar


def test_a_line_that_never_ends_is_cut_in_the_view(site: Site, page: Page) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        writer = Writer(record)
        page.goto(run_page(begun))
        for _ in range(100):
            writer(b"x" * 100_000)
        expect(page.locator("#L1 > span")).to_have_text(re.compile("raw log"))
        writer(b"\nthe end\n")
        writer.finish()
    expect(page.locator("#L2 > span")).to_have_text("the end")
    expect(page.locator("#L1 > span")).to_have_text(
        re.compile(r"^x{10000} … \(the rest of this line is in the raw log\)$")
    )


@pytest.mark.stress
def test_a_reader_who_scrolled_up_stays_there_and_gets_to_the_end_with_a_button(site: Site, page: Page) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        writer = Writer(record)
        page.goto(run_page(begun))
        writer(b"".join(LINE % number for number in range(1, 1001)))
        expect(page.locator("#L1000")).to_be_in_viewport()
        page.locator("#log").hover()
        page.mouse.wheel(0, -9000)
        expect(page.get_by_role("button", name="To the end")).to_be_visible()
        for first in range(1001, 100_001, 1000):
            writer(b"".join(LINE % number for number in range(first, first + 1000)))
        expect(page.locator("#log-note")).to_have_text("100,000 lines")
        assert page.locator("#log .line").count() < LINES_MAX
        page.get_by_role("button", name="To the end").click()
        expect(page.locator("#L100000")).to_be_in_viewport()
        writer(LINE % 100_001)
        expect(page.locator("#L100001")).to_be_in_viewport()
        writer.finish()


@pytest.mark.stress
def test_of_a_log_of_100_megabytes_only_the_viewed_parts_are_loaded(site: Site, page: Page) -> None:
    begun = site.begin()
    count = 100 * 10**6 // len(LINE % 1)
    flood(begun, count)
    loaded: list[int] = []
    page.on("response", lambda answer: loaded.append(int(answer.headers.get("content-length", 0))))
    page.goto(run_page(begun))
    expect(page.locator(f"#L{count} > span")).to_have_text((LINE % count).decode().rstrip())
    expect(page.locator("#log-note")).to_have_text(f"{count:,} lines")  # the script has taken over
    assert page.locator("#log .line").count() < LINES_MAX
    walk(page, count)
    page.goto("about:blank")
    page.goto(run_page(begun, 777_777))
    expect(page.locator("#L777777.marked")).to_be_in_viewport()
    expect(page.locator("#L777777 > span")).to_have_text((LINE % 777_777).decode().rstrip())
    page.evaluate("location.hash = '#L5'")
    expect(page.locator("#L5.marked")).to_be_in_viewport()
    page.get_by_role("button", name="To the end").click()
    expect(page.locator(f"#L{count}")).to_be_in_viewport()
    find(page)
    assert page.locator("#log .line").count() < LINES_MAX
    assert sum(loaded) < 5 * 10**6


def walk(page: Page, count: int) -> None:
    log = page.locator("#log")
    log.press("Home")
    expect(page.locator("#L1 > span")).to_have_text((LINE % 1).decode().rstrip())
    expect(page.locator("#L1")).to_be_in_viewport()
    log.press("PageDown")
    expect(page.locator("#L1")).not_to_be_in_viewport()
    log.press("End")
    expect(page.locator(f"#L{count}")).to_be_in_viewport()
    page.evaluate("log.scrollTop = (log.scrollHeight - log.clientHeight) / 2")
    middle = page.locator(f"#L{count // 2}")
    expect(middle).to_be_in_viewport()
    expect(middle.locator("span")).to_have_text((LINE % (count // 2)).decode().rstrip())
    log.press("g")
    page.keyboard.type("600000\n")
    expect(page.locator("#L600000.marked")).to_be_in_viewport()


def find(page: Page) -> None:
    page.locator("#log").press("Control+f")
    find = page.get_by_role("searchbox", name="Find in the log")
    expect(find).to_be_focused()
    find.fill("0345678 A LINE")
    find.press("Enter")
    expect(page.locator("#L345678.marked")).to_be_in_viewport()
    expect(page.locator("#log-found")).to_have_text("1 of 1")
    find.fill("not in there")
    find.press("Enter")
    expect(page.locator("#log-found")).to_have_text("Not found")
    page.get_by_role("button", name="Regular expression").click()
    find.fill("^09999[0-9]{2} A")
    find.press("Enter")
    expect(page.locator("#log-found")).to_have_text("1 of 100", timeout=90_000)
