"""Artifacts that browsers show, in a real one: pages with their styles and scripts, and what those cannot do."""

import base64
import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.web.conftest import REPO, ClaimedRun, Site

pytestmark = pytest.mark.browser
PATIENCE_MS = 30_000
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
REPORT = b"""<!doctype html><link rel=stylesheet href=style.css><p id=said>nothing</p><img id=picture src=dot.gif>
<script src=report.js></script><a href=sub/other.html>next</a>"""
TRIES = b"""
const said = [];
const tries = {
  cookie: () => document.cookie, storage: () => localStorage.length, parent: () => parent.document.title,
  top: () => { if (top !== self) top.location = "/account"; return "sent"; },
};
for (const [name, attempt] of Object.entries(tries)) {
  try { said.push(name + ": " + attempt()); } catch (error) { said.push(name + ": " + error.name); }
}
fetch("/api/account", {credentials: "include"}).then(() => "answered", () => "refused").then((how) => {
  said.push("fetch: " + how, "origin: " + self.origin);
  document.getElementById("said").textContent = said.join("; ");
});
"""


@pytest.fixture
def page(site: Site, live_url: str, chrome: Browser) -> Iterator[Page]:
    """A page of a browser that has logged in by a link: what is asked without its cookie is refused."""
    site.add_repo()
    context = chrome.new_context(base_url=live_url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page.goto(f"/login?link={site.login_link()}")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{live_url}/")
    yield page
    context.close()


def opened(page: Page, run: ClaimedRun, **files: bytes) -> FrameLocator:
    pages = {"html/index.html": REPORT, "html/style.css": b"p { color: rgb(1, 2, 3) }", "html/dot.gif": PIXEL}
    run.keep_all(pages | {"html/sub/other.html": b"<h1>another page</h1>", "html/report.js": b"", **files})
    page.goto(f"/repos/{REPO}/runs/{run.queued.number}/artifacts")
    page.get_by_role("link", name="index.html").click()
    return page.frame_locator("iframe")


def test_a_page_has_its_styles_pictures_and_links(site: Site, page: Page) -> None:
    frame = opened(page, site.begin())
    expect(frame.locator("#said")).to_have_css("color", "rgb(1, 2, 3)")
    expect(frame.locator("#picture")).to_have_js_property("naturalWidth", 1)
    frame.get_by_role("link", name="next").click()
    expect(frame.get_by_role("heading", name="another page")).to_be_visible()


def test_a_script_in_an_artifact_reaches_nothing(site: Site, page: Page) -> None:
    frame = opened(page, site.begin(), **{"html/report.js": TRIES})
    expect(frame.locator("#said")).to_contain_text("origin: null")
    said = dict(part.split(": ") for part in frame.locator("#said").inner_text().split("; "))
    refused = {"cookie": "SecurityError", "storage": "SecurityError", "parent": "SecurityError", "fetch": "refused"}
    assert {name: said[name] for name in refused} == refused
    assert page.url.endswith(f"/artifacts/{page.url.rpartition('/')[2]}"), "the frame has not led the page away"


def test_the_address_alone_has_no_origin_either(site: Site, page: Page) -> None:
    opened(page, site.begin(), **{"html/report.js": TRIES})
    address = page.locator("iframe").get_attribute("src")
    page.goto(address or "")
    expect(page.locator("#said")).to_contain_text("cookie: SecurityError")
    expect(page.locator("#said")).to_contain_text("fetch: refused; origin: null")


# What an injected element of a page of Headway's could load.
LOAD = """([tag, attribute, address]) => new Promise((resolve) => {
  const element = Object.assign(document.createElement(tag), {[attribute]: address, rel: "stylesheet"});
  element.onload = () => resolve("loaded");
  element.onerror = () => resolve("refused");
  document.head.append(element);
})"""


def test_no_page_of_headways_own_loads_a_script_or_style_that_a_step_wrote(site: Site, page: Page) -> None:
    opened(page, site.begin(), **{"html/report.js": b"window.injected = true"})
    view = page.locator("iframe").get_attribute("src") or ""
    for shown in (page.url, "/", f"/repos/{REPO}"):
        page.goto(shown)
        assert page.evaluate(LOAD, ["script", "src", view.replace("index.html", "report.js")]) == "refused"
        assert page.evaluate(LOAD, ["link", "href", view.replace("index.html", "style.css")]) == "refused"
        assert page.evaluate("window.injected") is None
        assert page.evaluate(LOAD, ["script", "src", "/static/vendor/htmx.min.js"]) == "loaded"
        assert page.evaluate(LOAD, ["link", "href", "/static/headway.css"]) == "loaded"


CALLS = b"""
const call = new RTCPeerConnection({iceServers: [{urls: "stun:ADDRESS"}]});
call.createDataChannel("x");
call.onicegatheringstatechange = () => {
  if (call.iceGatheringState === "complete") document.getElementById("said").textContent = "gathered";
};
call.createOffer().then((offer) => call.setLocalDescription(offer));
"""


def test_a_script_in_an_artifact_reaches_no_server_by_webrtc(site: Site, page: Page) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", 0))
        # An address of this machine that is not a loopback one: a browser leaves those out. Nothing is sent by this.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            address = f"{probe.getsockname()[0]}:{server.getsockname()[1]}"
        frame = opened(page, site.begin(), **{"html/report.js": CALLS.replace(b"ADDRESS", address.encode())})
        # A browser that has asked the server waits for its answer.
        expect(frame.locator("#said")).to_have_text("gathered")
        page.goto(page.locator("iframe").get_attribute("src") or "")
        expect(page.locator("#said")).to_have_text("gathered")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(1)


def test_a_page_in_a_frame_asks_nothing_of_headway_but_its_own_files(site: Site, page: Page) -> None:
    report = REPORT.replace(b"dot.gif", b"/static/favicon.svg").replace(b"report.js", b"/static/js/app.js")
    frame = opened(page, site.begin(), **{"html/index.html": report})
    expect(frame.locator("#said")).to_have_css("color", "rgb(1, 2, 3)")
    expect(frame.locator("#picture")).to_have_js_property("naturalWidth", 0)
    frame.get_by_role("link", name="next").click()
    expect(frame.get_by_role("heading", name="another page")).to_be_visible()
