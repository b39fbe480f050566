"""Every page, in both themes and at two widths, has no problem that axe finds. `make screenshots` takes their pictures.

With the variable SCREENSHOTS, the name of a folder, each page is also written there as a picture.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page
from pydantic import SecretStr

from tests.e2e.browser import chromium
from tests.support.services import TEST_KEY, RedisServer
from tests.support.shown_installation import fill
from tests.web.conftest import Site, serving
from tests.web.pages.log_pages import PATIENCE_MS, log_in
from tests.web.security.rules import RULES
from web.server.wiring import open_services
from workers.db.session import make_engine, upgrade
from workers.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

NO_PAGES = ("/api/", "/static", "/healthz", "/readyz", "/metrics", "/schema.json", "/badges/", "/artifact-views/")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
_RUN = """tags => axe.run(document, {runOnly: tags, iframes: false}).then(found => found.violations.map(
  each => `${each.id}: ${each.help}: ${each.nodes.map(node => node.html.slice(0, 200)).slice(0, 3).join(" | ")}`))"""
THEMES: Sequence[Literal["light", "dark"]] = ("light", "dark")
WIDTHS_PX = (1440, 390)


@dataclass(frozen=True)
class Shown:
    """The installation: its site, its address and the paths of its pages."""

    site: Site
    url: str
    pages: Mapping[str, Sequence[str]]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, shared_redis: RedisServer) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("shown")
    settings = Settings(data_dir=folder, redis_url=shared_redis.url, secret_keys=SecretStr(TEST_KEY))
    engine = make_engine(settings.database)
    upgrade(engine)
    with open_services(settings, engine) as services, serving(services) as url:
        yield Shown(Site(services), url, fill(services))
    engine.dispose()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_list_of_pages_is_complete(shown: Shown) -> None:
    gets = {call.removeprefix("GET ") for call in RULES if call.startswith("GET ")}
    assert set(shown.pages) == {path for path in gets if not path.startswith(NO_PAGES)}


@pytest.mark.parametrize("width_px", WIDTHS_PX)
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing(shown: Shown, chrome: Browser, theme: Literal["light", "dark"], width_px: int) -> None:
    context = chrome.new_context(
        base_url=shown.url, color_scheme=theme, viewport={"width": width_px, "height": 900}, timezone_id="UTC",
        locale="en-GB", reduced_motion="reduce",
    )  # fmt: skip
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto("/login")
    found = {"/login": _problems(page)}
    _picture(page, "login", theme, width_px)
    log_in(shown.site, context, shown.url, f"{theme}{width_px}")
    for path in (path for paths in shown.pages.values() for path in paths if path != "/login"):
        page.goto(path)
        page.locator("main").wait_for()
        found[path] = _problems(page)
        _picture(page, path, theme, width_px)
    context.close()
    said = [f"{path}: {problem}" for path, problems in found.items() for problem in problems]
    assert not said, "\n".join(said)


def _problems(page: Page) -> list[Any]:
    page.evaluate(_AXE)
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return [*page.evaluate(_RUN, TAGS), *(["the page is wider than the window"] if wide else [])]


def _picture(page: Page, path: str, theme: str, width_px: int) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        name = "".join(letter if letter.isalnum() else "-" for letter in path).strip("-") or "home"
        file = Path(folder) / f"{width_px}-{theme}" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=file, full_page=True)
