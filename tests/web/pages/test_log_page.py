"""The log on a run's page, in a real browser."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.state import PASSED, Outcome, Reason, State
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.e2e.browser import chromium
from tests.web.conftest import REPO, ClaimedRun, Site
from workers.jobs.recorder import Recorder

pytestmark = pytest.mark.browser
PATIENCE_MS = 30_000
LINE = b"%07d a line of a test suite that writer little and writer it often enough\n"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(site: Site, live_url: str, chrome: Browser) -> Iterator[Page]:
    """A page with a login. The test fails if a script reports an error."""
    site.add_repo()
    headers = {"authorization": f"Bearer {site.token(site.add_user())}"}
    context = chrome.new_context(base_url=live_url, extra_http_headers=headers, timezone_id="UTC", locale="en-GB")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield page
    context.close()
    assert errors == []


class Writer:
    """A step that writes."""

    def __init__(self, record: Recorder) -> None:
        self.record = record
        self.offset = 0
        record(StepStarted(2))

    def __call__(self, data: bytes, stream: Stream = Stream.STDOUT) -> None:
        self.record(StepOutput(2, self.offset, data, stream))
        self.offset += len(data)

    def finish(self, outcome: Outcome = PASSED) -> None:
        self.record(StepFinished(2, outcome))


def run_page(begun: ClaimedRun, line: int | None = None) -> str:
    return f"/repos/{REPO}/runs/{begun.queued.number}?step={begun.steps[2]}" + (f"#L{line}" if line else "")


def flood(begun: ClaimedRun, lines: int) -> None:
    with begun.recorder() as record:
        writer = Writer(record)
        for first in range(1, lines + 1, 10_000):
            writer(b"".join(LINE % number for number in range(first, min(first + 10_000, lines + 1))))
        writer.finish()


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
        page.locator("#L500").scroll_into_view_if_needed()
        expect(page.get_by_role("button", name="To the end")).to_be_visible()
        for first in range(1001, 100_001, 1000):
            writer(b"".join(LINE % number for number in range(first, first + 1000)))
        expect(page.get_by_role("button", name="Later lines")).to_be_visible()
        assert page.locator("#log .line").count() < 60_000
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
    expect(page.locator("#log .line")).to_have_count(2000)
    page.locator("#log-earlier").click()
    expect(page.locator(f"#L{count - 2500}")).to_be_attached()
    page.goto("about:blank")
    page.goto(run_page(begun, 777_777))
    expect(page.locator("#L777777.marked")).to_be_in_viewport()
    expect(page.locator("#L777777 > span")).to_have_text((LINE % 777_777).decode().rstrip())
    page.locator("#log-later").click()
    expect(page.locator("#L780000")).to_be_attached()
    page.evaluate("location.hash = '#L5'")
    expect(page.locator("#L5.marked")).to_be_in_viewport()
    page.get_by_role("button", name="To the end").click()
    expect(page.locator(f"#L{count}")).to_be_in_viewport()
    find = page.get_by_role("searchbox", name="Find in the log")
    find.fill("0345678 A LINE")
    find.press("Enter")
    expect(page.locator("#L345678.marked")).to_be_in_viewport()
    expect(page.locator("#log-found")).to_have_text("1 of 1")
    find.fill("not in there")
    find.press("Enter")
    expect(page.locator("#log-found")).to_have_text("Not found")
    assert sum(loaded) < 5 * 10**6
