"""The page of a run in a browser: a log as it is written very fast, and a log of a million lines."""

import re
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from playwright.sync_api import Page

from bench.measure import NotMeasurableError, interleave, percentile
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.live import Watched
from bench.servers import Server, server
from tests.e2e.browser import chromium

TASK = Row(
    "page-live-task",
    "a log of 20,000 lines a second on its page: the longest task of the browser",
    "",
    "ms",
    Target(Kind.FIGURE_AT_MOST, 100),
)
LAG = Row(
    "page-live-lag",
    "the same: from writing a line until the page shows it, p99",
    "",
    "s",
    Target(Kind.FIGURE_AT_MOST, 1.0),
)
PAINT = Row(
    "page-first-lines",
    "the page of a log of a million lines, from its address to its last lines",
    "the same page of a log of 100 lines",
    "s",
    Target(Kind.RATIO_AT_MOST, 1.5),
)
JUMP = Row(
    "page-jump",
    "from `g` and a number to that line, in the middle of a million",
    "in a log of 100 lines",
    "s",
    Target(Kind.RATIO_AT_MOST, 2.0),
)
LINES_A_SECOND, FLOOD_S, TICK_S = 20_000, 12, 0.01
MANY, FEW = 1_000_000, 100
_FLOOD = f"""\
import sys, time
end = time.monotonic() + {FLOOD_S}
due = time.monotonic()
while (now := time.monotonic()) < end:
    if now < due:
        time.sleep(due - now)
        continue
    due += {TICK_S}
    line = f"at {{time.time_ns()}} a line of a program that writes all that it does\\n"
    sys.stdout.write(line * {int(LINES_A_SECOND * TICK_S)})
    sys.stdout.flush()
"""
_PYTHON = "steps:\n  - name: write\n    image: python:3.13-slim\n    commands: [python -u flood.py]\n"
_LONG = """\
for number in range(1, COUNT + 1):
    print(f"{number:07d} a line of a test suite that writes little and writes it often enough, to make it 100 MB")
"""
# The page notes each long task, and ten times a second how old its last line is. Its policy forbids Playwright to wait.
_WATCH = """
window.tasks = [], window.lags = [];
new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((task) => task.duration)))
  .observe({ type: "longtask", buffered: true });
setInterval(() => {
  const found = [...document.querySelectorAll("#log-lines .line > span")].at(-1)?.textContent.match(/^at (\\d{19}) /);
  if (!found) return;
  if (!window.lags.length) window.tasks = [];  // those of opening the page
  window.lags.push([Number(found[1]) / 1e6, Date.now()]);
}, 100);
window.lineShown = (line) => new Promise((done) => {
  const look = () => {
    const shown = document.querySelector(`#L${line} > span`)?.textContent;
    if (shown) done(performance.now() - (window.since ?? 0));
    else requestAnimationFrame(look);
  };
  look();
});
"""


def live(bench: Bench) -> dict[Row, Measured]:
    """The whole way: a step's container, worker, Redis, web server, and Chromium, all on this machine."""
    tasks: list[float] = []
    lags: list[float] = []
    with _stack(bench, TASK.name) as (stack, page):
        watched = Watched(stack, "flood", {".headway.yml": _PYTHON, "flood.py": _FLOOD})
        for _ in range(bench.rounds_of(3)):
            longest, late = _flood(stack, watched, page)
            tasks.append(longest)
            lags.append(percentile(late, 99))
    note = f"rounds: longest tasks {', '.join(f'{each:.0f}' for each in tasks)} ms"
    return {
        TASK: Measured(statistics.median(tasks), rounds={"ours": tasks}, note=note),
        LAG: Measured(statistics.median(lags), rounds={"ours": lags}),
    }


def _flood(stack: Server, watched: Watched, page: Page) -> tuple[float, list[float]]:
    """One run: the longest task in ms, and how old the last line was each time, in s."""
    number = watched.push()
    page.goto(f"{stack.url}/repos/flood/runs/{number}?step={watched.step_id(number)}")
    watched.wait_end(number)
    found: Any = page.evaluate("[Math.max(0, ...window.tasks), window.lags]")
    longest, looks = float(found[0]), found[1]
    # Once the last line is there, its age says nothing more.
    last = max((written for written, _ in looks), default=0)
    late = [(now - written) / 1000 for written, now in looks if written < last]
    if len(late) < FLOOD_S:
        raise NotMeasurableError(f"the page showed lines only {len(late)} times while they were written")
    return longest, late


def long_log(bench: Bench) -> dict[Row, Measured]:
    """Two logs of one server, opened in turns."""
    with _stack(bench, PAINT.name) as (stack, page):
        pages = {"ours": _written(stack, "many", MANY), "baseline": _written(stack, "few", FEW)}
        lines = {"ours": MANY, "baseline": FEW}
        shown = interleave(
            bench.rounds_of(7), {name: partial(_open, page, url, lines[name]) for name, url in pages.items()}
        )
        jumped: dict[str, list[float]] = {name: [] for name in pages}
        for _ in range(bench.rounds_of(7)):
            for name, url in pages.items():
                _open(page, url, lines[name])
                jumped[name].append(_jump(page, lines[name] // 2))
    return {
        PAINT: Measured(shown.median("ours"), shown.median("baseline"), dict(shown.figures)),
        JUMP: Measured(statistics.median(jumped["ours"]), statistics.median(jumped["baseline"]), dict(jumped)),
    }


def _written(stack: Server, name: str, lines: int) -> str:
    """The address of the page of a step that has written so many lines."""
    watched = Watched(stack, name, {".headway.yml": _PYTHON, "flood.py": _LONG.replace("COUNT", str(lines))})
    number = watched.push()
    step = watched.step_id(number)
    watched.wait_end(number)
    return f"{stack.url}/repos/{name}/runs/{number}?step={step}"


def _open(page: Page, url: str, lines: int) -> float:
    """Seconds by the browser's clock until the page shows the last line."""
    page.goto("about:blank")
    page.goto(url)
    return _seconds_until(page, lines)


def _jump(page: Page, line: int) -> float:
    page.locator("#log").press("g")
    page.keyboard.type(str(line))
    page.evaluate("window.since = performance.now()")
    page.keyboard.press("Enter")
    return _seconds_until(page, line)


def _seconds_until(page: Page, line: int) -> float:
    return float(page.evaluate("(line) => window.lineShown(line)", line)) / 1000


@contextmanager
def _stack(bench: Bench, name: str) -> Iterator[tuple[Server, Page]]:
    """`headway serve` with its default settings, and a page with a login."""
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        raise NotMeasurableError("chromium is not installed; `make test` installs it")
    with server(bench.place(name)) as stack, chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(_WATCH)
        page.goto(stack.headway("user", "link", "admin").strip().splitlines()[-1])
        page.get_by_role("button", name=re.compile("log in|continue", re.IGNORECASE)).click()
        yield stack, page
