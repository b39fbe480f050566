"""Standard error only: the other lines of a log are left out, and come back where one of them is asked for."""

import time

import pytest
from playwright.sync_api import Page, expect

from pipelines.state import PASSED
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.web.conftest import ClaimedRun, Site
from tests.web.pages.log_pages import run_page

pytestmark = pytest.mark.browser

OUT, ERR = Stream.STDOUT, Stream.STDERR


def written(site: Site, *chunks: tuple[Stream, bytes]) -> ClaimedRun:
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(2))
        offset = 0
        for stream, data in chunks:
            record(StepOutput(2, offset, data, stream))
            offset += len(data)
        record(StepFinished(2, PASSED))
    return begun


def numbers(page: Page) -> list[int]:
    return list(page.locator(".line > a").evaluate_all("links => links.map(link => Number(link.dataset.n))"))


def test_only_lines_of_standard_error_are_shown(site: Site, page: Page) -> None:
    many = b"".join(b"line %d\n" % number for number in range(20_000))
    begun = written(site, (OUT, many), (ERR, b"bad\n"), (OUT, many), (ERR, b"worse\nworst\n"), (OUT, b"end\n"))
    page.goto(run_page(begun))
    only = page.get_by_role("button", name="Stderr only")
    expect(only).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("link", name="Standard error only")).to_be_hidden()
    only.click()
    expect(only).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".line")).to_have_count(3)
    assert numbers(page) == [20_001, 40_002, 40_003]
    page.locator("#log").focus()
    page.keyboard.press("g")
    page.keyboard.type("30000")
    page.keyboard.press("Enter")
    expect(page.locator("#L30000")).to_be_visible()
    expect(only).to_have_attribute("aria-pressed", "false")


def test_all_lines_come_back(site: Site, page: Page) -> None:
    page.goto(run_page(written(site, (ERR, b"bad\n"), (OUT, b"one\ntwo\n"), (ERR, b"worse\n"))))
    only = page.get_by_role("button", name="Stderr only")
    only.click()
    expect(page.locator(".line")).to_have_count(2)
    only.click()
    expect(page.locator(".line")).to_have_count(4)


def test_a_log_without_standard_error_shows_no_line(site: Site, page: Page) -> None:
    page.goto(run_page(written(site, (OUT, b"one\ntwo\n"))))
    only = page.get_by_role("button", name="Stderr only")
    only.click()
    expect(page.locator(".line")).to_have_count(0)
    only.click()
    expect(page.locator(".line")).to_have_count(2)


def test_what_a_running_step_writes_is_looked_at_again(site: Site, page: Page) -> None:
    begun = site.begin()
    with begun.recorder(lambda: time.time_ns() // 1_000_000) as record:
        record(StepStarted(2))
        record(StepOutput(2, 0, b"bad\n", ERR))
        page.goto(run_page(begun))
        page.get_by_role("button", name="Stderr only").click()
        expect(page.locator(".line")).to_have_count(1)
        record(StepOutput(2, 4, b"good\n", OUT))
        record(StepOutput(2, 9, b"worse\n", ERR))
        expect(page.locator("#L3")).to_be_visible()
        expect(page.locator(".line")).to_have_count(2)  # all are shown until it is known where they are from
        assert numbers(page) == [1, 3]
        record(StepFinished(2, PASSED))
