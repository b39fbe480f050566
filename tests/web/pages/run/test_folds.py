"""Folding of a log: by command and by group markers, with mouse and keyboard, without losing the place."""

import re

import pytest
from playwright.sync_api import Page, expect

from pipelines.plan import Plan
from tests.web.conftest import PLAN, ClaimedRun, Site
from tests.web.pages.log_pages import Writer, run_page

pytestmark = pytest.mark.browser


def written(site: Site, lines: int = 3) -> ClaimedRun:
    job = PLAN.jobs[0]
    tests = job.steps[1].model_copy(update={"commands": ("make", "make test")})
    begun = site.begin(plan=Plan(jobs=(job.model_copy(update={"steps": (job.steps[0], tests, *job.steps[2:])}),)))
    with begun.recorder() as record:
        writer = Writer(record)
        writer(b"+ make\n" + b"".join(b"built %d\n" % number for number in range(lines)))
        writer(b"+ make test\n::group::Unit <b>tests</b>\nok 1\nok 2\n::endgroup::\nthe end\n")
        writer.finish()
    return begun


def shown(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".line > span:last-child").all_inner_texts()]


def test_a_command_and_a_group_are_folded_and_opened(site: Site, page: Page) -> None:
    page.goto(run_page(written(site)))
    make = page.get_by_role("button", name="make, 3 lines", exact=True)
    expect(make).to_have_attribute("aria-expanded", "true")
    make.click()
    expect(page.locator(".line", has_text="built 1")).to_have_count(0)
    assert shown(page)[0] == "+ make (3 lines)"
    expect(page.get_by_role("button", name="make, 3 lines", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".line", has_text="built 1")).to_be_visible()
    group = page.get_by_role("button", name="Unit <b>tests</b>, 3 lines")
    group.click()
    expect(page.locator(".line", has_text="ok 2")).to_have_count(0)
    assert "Unit <b>tests</b> (3 lines)" in shown(page)
    numbers = page.locator(".line > a").evaluate_all("links => links.map(link => Number(link.dataset.n))")
    assert numbers == [1, 2, 3, 4, 5, 6, 10]


def test_all_are_folded_at_once_and_a_link_opens_what_hides_its_line(site: Site, page: Page) -> None:
    begun = written(site, 50_000)
    page.goto(run_page(begun))
    page.get_by_role("button", name="Fold", exact=True).click()
    first = page.locator(".line", has_text="+ make (50,000 lines)")
    expect(first).to_be_visible()
    expect(page.locator(".line", has_text="the end")).to_be_visible()
    page.locator("#log").focus()
    page.keyboard.press("g")
    page.keyboard.type("25000")
    page.keyboard.press("Enter")
    expect(page.locator("#L25000")).to_be_visible()
    expect(page.locator("#L25000")).to_contain_text("built 24998")
    expect(page).to_have_url(re.compile("L25000$"))


def test_commands_show_how_long_they_took_also_without_output(site: Site, page: Page) -> None:
    job = PLAN.jobs[0]
    tests = job.steps[1].model_copy(update={"commands": ("sleep 75", "make")})
    begun = site.begin(plan=Plan(jobs=(job.model_copy(update={"steps": (job.steps[0], tests, *job.steps[2:])}),)))
    now = [1_000]
    with begun.recorder(lambda: now[0]) as record:
        writer = Writer(record)
        for now[0], data in ((1_000, b"+ sleep 75\n"), (76_000, b"+ make\n"), (77_000, b"built\n")):
            writer(data)
    page.goto(run_page(begun))
    expect(page.locator("#L1 .took")).to_have_attribute("data-took", "1 min 15 s")
    expect(page.locator("#L1 .fold")).to_have_count(0)
    expect(page.locator("#L2 .fold")).to_be_visible()
    expect(page.locator("#L2 .took")).to_have_count(0)
    assert shown(page) == ["+ sleep 75", "+ make", "built"], "the time is no part of the line"


def test_a_long_folded_part_is_not_loaded(site: Site, page: Page) -> None:
    page.goto(run_page(written(site, 50_000)))
    expect(page.get_by_role("button", name="Fold", exact=True)).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "lines=" in request.url else None)
    page.get_by_role("button", name="Fold", exact=True).click()
    expect(page.locator("#L1")).to_be_visible()
    assert len(asked) == 1


def test_a_log_without_groups_offers_no_folding(site: Site, page: Page) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        writer = Writer(record)
        writer(b"plain\n")
        writer.finish()
    page.goto(run_page(begun))
    expect(page.locator("#L1")).to_be_visible()
    expect(page.locator("#log-fold")).to_be_hidden()
