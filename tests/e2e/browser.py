"""Debian's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

# No sandbox, for tests run as root; the rest keeps Chromium from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. Without Chromium the test is skipped, or fails where CI is set."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is not installed; `make test` installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def files_outside_of_chromium(context: BrowserContext) -> Iterator[None]:
    """In the block, Playwright's own client fetches scripts and styles, from the same server.

    Chromium ends the requests that run while the machine gets or loses a network, as it does for each job. Pages ask
    again for what changes, but a script that was not loaded is not loaded again, and the page stays as it was.
    """
    context.route("**/static/**", lambda route: route.fulfill(response=route.fetch()))
    yield
    context.unroute_all(behavior="ignoreErrors")


@contextmanager
def no_errors(context: BrowserContext) -> Iterator[None]:
    """Fails at the end of the block if a page of the context had an error, or said one on its console.

    Chromium ends requests when the machine gets or loses a network, as it does for each job: pages ask again.
    """
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield
    assert [error for error in errors if "net::ERR_NETWORK_CHANGED" not in error] == []
