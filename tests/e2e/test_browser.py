"""In a real browser: log in, open a run, follow its log live, cancel it."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import chromium, files_outside_of_chromium, no_errors
from tests.e2e.stack import Repository, Stack

pytestmark = pytest.mark.browser

TICKING = """\
steps:
  - name: ticks
    image: busybox
    commands:
      - for n in $(seq 1 LAST); do echo "tick $n"; sleep 0.2; done
  - name: after
    image: busybox
    commands: [echo all done, sleep 3]
"""
PATIENCE_MS = 30_000
MARKUP = """</title></span></script><script>window.injected=1</script><img src=x onerror="window.injected=1">"""
STYLE = """<style>*{display:none!important}</style><link rel=stylesheet href=//127.0.0.1:9/x.css>"""
LINK = r"\033]8;;javascript:window.injected=1\033\\press\033]8;;\033\\"
"""A terminal's hyperlink, whose address is a script."""
COLOR = r"\033[38;2;1;2;3;url(x)m\033[31;\"onmouseover=\"window.injected=1mcolour\033[0m"
INJECTION = """\
steps:
  - name: {name}
    image: busybox
    commands:
      - |-
        cat <<'END'
        {markup}
        END
        printf '{link} {color}\\n'
        echo the last line
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(stack: Stack, browser: Browser) -> Iterator[Page]:
    """A page after a login by link. The test fails if a script reports an error."""
    link = stack.headway("user", "link", "admin").strip().splitlines()[-1]
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    with no_errors(context):
        with files_outside_of_chromium(context):
            page.goto(link)
            page.get_by_role("button", name=re.compile("log in|continue", re.IGNORECASE)).click()
            yield page
        context.close()


def test_the_page_follows_the_log_live_to_the_end_of_the_run(stack: Stack, page: Page) -> None:
    repo = Repository(stack, "pages/grows")
    number = repo.push({".headway.yml": TICKING.replace("LAST", "25")}, "Tick for a while")
    page.goto(stack.url)
    page.get_by_role("link", name="pages/grows").first.click()
    page.get_by_role("link", name=re.compile("Tick for a while")).first.click()
    log = page.locator("#log-lines")
    expect(log).to_contain_text("tick 3")
    assert repo.step(number, "ticks")["state"] == "running", "the page must show a line before its step has ended"
    expect(page.locator("#run-head")).to_contain_text(re.compile("passed", re.IGNORECASE))
    expect(log).to_contain_text("all done")  # the page moves on to the running step
    page.get_by_role("navigation", name="Steps").get_by_role("link", name=re.compile("ticks")).click()
    expect(log).to_contain_text("tick 25")
    lines = page.locator("#log-lines .line > span").all_text_contents()
    shown = [line for line in lines if line.startswith("tick")]
    assert shown == [f"tick {n}" for n in range(1, 26)]


def test_the_log_in_the_browser_is_what_the_step_wrote(stack: Stack, page: Page) -> None:
    repo = Repository(stack, "pages/exact")
    command = r"printf '<b>bold?</b> &amp; \033[31mred\033[0m  two  spaces | tab\tend\n'; seq 1 60"
    pipeline = f"steps:\n  - name: a\n    image: busybox\n    commands:\n      - |-\n        {command}\n"
    run = repo.ended(repo.push({".headway.yml": pipeline}))
    assert run["state"] == "passed", run["sentence"]
    page.goto(f"{stack.url}/repos/pages/exact/runs/{run['number']}")
    expect(page.locator("#log-lines")).to_contain_text("60")
    texts = page.locator("#log-lines .line > span").all_text_contents()
    wanted = repo.log(repo.step(run["number"], "a")).decode().replace("\033[31m", "").replace("\033[0m", "")
    assert texts == wanted.splitlines()
    assert page.locator("#log-lines b").count() == 0


def test_the_buttons_cancel_and_re_run_a_run(stack: Stack, page: Page) -> None:
    repo = Repository(stack, "pages/buttons")
    number = repo.push({".headway.yml": TICKING.replace("LAST", "500")})
    repo.running(number, "ticks", "tick 1")
    page.goto(f"{stack.url}/repos/pages/buttons/runs/{number}")
    page.get_by_role("button", name="Cancel").click()
    assert repo.ended(number)["state"] == "canceled"
    expect(page.locator("#run-head")).to_contain_text("canceled by admin")
    page.get_by_role("button", name="Re-run").click()
    page.wait_for_url(f"**/runs/{number + 1}")
    page.get_by_role("button", name="Cancel").click()
    assert repo.ended(number + 1)["state"] == "canceled"


def test_without_a_login_the_browser_is_redirected_to_the_login(stack: Stack, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(stack.url)
    assert "/login" in page.url
    context.close()


def test_a_log_can_be_read_without_javascript(stack: Stack, browser: Browser) -> None:
    repo = Repository(stack, "pages/plain")
    run = repo.ended(repo.push({".headway.yml": "steps: [{name: a, image: busybox, commands: [echo plain words]}]"}))
    link = stack.headway("user", "link", "admin").strip().splitlines()[-1]
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button").first.click()
    page.goto(f"{stack.url}/repos/pages/plain/runs/{run['number']}")
    expect(page.locator("#log-lines")).to_contain_text("plain words")
    context.close()


def test_names_messages_and_logs_are_text_on_every_page(stack: Stack, page: Page) -> None:
    repo = Repository(stack, "pages/injection")
    text = INJECTION.format(name=f"'{MARKUP}'", markup=MARKUP + STYLE, link=LINK, color=COLOR)
    branch = "x<svg/onload=window.injected=1>"
    run = repo.ended(repo.push({".headway.yml": text}, f"{MARKUP}{STYLE}", branch))
    assert run["state"] == "passed", run["sentence"]
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    number = run["number"]
    for path in ("/", "/repos/pages/injection", f"/repos/pages/injection/runs/{number}", "/audit"):
        page.goto(f"{stack.url}{path}")
        if "/runs/" in path:
            log = page.locator("#log-lines")
            expect(log).to_contain_text("the last line")
            expect(log).to_contain_text(MARKUP)
            log.get_by_text("press").first.click()
            log.get_by_text("colour").first.hover()
        elif path != "/audit":
            expect(page.locator("body")).to_contain_text(branch)
        assert page.evaluate("window.injected") is None, path
        assert page.locator("img[src=x], svg[onload], body style, a[href^='javascript:']").count() == 0, path
        assert page.locator("h1").first.is_visible(), path
    assert dialogs == []
    assert [url for url in requested if not url.startswith(stack.url)] == []
