"""The benchmark: ``python -m bench.run [--only NAME] [--rounds N]``. ``make bench`` starts what it needs around it."""

import argparse
import compileall
import fnmatch
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bench.machine import describe
from bench.measure import NotMeasurableError
from bench.result import Bench, Measured, Row
from bench.rows import (
    artifacts,
    builds,
    caches,
    cli,
    hooks,
    live,
    log_stores,
    logs,
    pages,
    queue,
    reports,
    rest,
    reuse,
    slots,
    source,
    steps,
    streams,
)
from bench.table import Line, show, write

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
_WIDTH = 140

Measure = Callable[[Bench], Mapping[Row, Measured]]

# In the order of the table; rows that are measured together are in one group.
TOPICS: Sequence[tuple[tuple[Row, ...], Measure]] = (
    ((steps.SLEEP,), steps.further_sleep),
    ((steps.TRUE,), steps.further_true),
    ((steps.ONE,), steps.whole_run),
    ((steps.PEER,), steps.against_peer),
    ((steps.WOODPECKER,), steps.against_woodpecker),
    ((logs.WALL, logs.MEMORY), logs.flood),
    ((log_stores.ROW,), log_stores.bucket),
    ((artifacts.ROW,), artifacts.kept),
    ((builds.CACHED,), builds.cached),
    ((live.FIRST_BYTE,), live.first_byte),
    ((hooks.RATE,), hooks.rate),
    ((live.LATENCY,), live.latency),
    ((pages.TASK, pages.LAG), pages.live),
    ((pages.PAINT, pages.JUMP), pages.long_log),
    ((streams.ROW, streams.MEMORY, streams.DELAY), streams.front_page),
    ((cli.LINT,), cli.lint),
    ((reuse.TWENTY,), reuse.twenty),
    ((reports.READ,), reports.read),
    ((queue.SQLITE,), queue.sqlite),
    ((queue.POSTGRESQL,), queue.postgresql),
    ((rest.MEMORY, rest.PROCESSOR), rest.at_rest),
    ((slots.CONNECTIONS, slots.REST, slots.MEMORY), slots.slots),
    ((source.FIRST, source.AGAIN), source.big),
    ((caches.ROW,), caches.available),
)


def main(arguments: Sequence[str]) -> int:
    """Measures, shows, writes. 0 whatever was found, for a missed target is a finding; 2 when no row is so named."""
    options = _options(arguments)
    names = [name for given in options.only for name in given.split()]
    wanted = {row for rows, _ in TOPICS for row in rows if _asked_for(row, names)}
    if not wanted:
        sys.stderr.write(f"no row is named so; the rows: {' '.join(row.name for rows, _ in TOPICS for row in rows)}\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    started_at, started_s = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    machine = describe()
    for package in ("pipelines", "runner", "workers", "web"):
        # As after an installation, also with PYTHONDONTWRITEBYTECODE.
        compileall.compile_dir(HERE.parent / package, quiet=1)
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as folder:
        bench = Bench(Path(folder), _cache(), options.rounds)
        lines = [line for rows, measure in TOPICS for line in _topic(bench, wanted, rows, measure)]
    machine["load_average_after"] = [round(load, 2) for load in os.getloadavg()]
    show(lines, machine, console)
    target = options.json or (RESULTS if len(wanted) == sum(len(rows) for rows, _ in TOPICS) else None)
    if target is not None:
        write(target, lines, machine, started_at, time.monotonic() - started_s)
        console.print(f"written: {target}", highlight=False)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Measures Headway against what it builds on.")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="rows to measure; * is any text")
    parser.add_argument("--rounds", type=int, help="rounds of each row instead of its own number")
    parser.add_argument("--json", type=Path, help="where to write the results; by default a whole run's alone are")
    return parser.parse_args(arguments)


def _asked_for(row: Row, names: Sequence[str]) -> bool:
    return not names or any(fnmatch.fnmatch(row.name, name) for name in names)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(base) / "headway" / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _topic(bench: Bench, wanted: set[Row], rows: Sequence[Row], measure: Measure) -> list[Line]:
    """The lines of one topic. An error is shown in its lines; the other topics continue."""
    rows = [row for row in rows if row in wanted]
    if not rows:
        return []
    sys.stderr.write(f"measuring {', '.join(row.name for row in rows)} ...")
    sys.stderr.flush()
    started_s = time.monotonic()
    try:
        found = measure(bench)
        lines = [Line(row, found[row]) for row in rows]
    except NotMeasurableError as error:
        lines = [Line(row, None, str(error)) for row in rows]
    except (AssertionError, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        lines = [Line(row, None, f"{type(error).__name__}: {error}") for row in rows]
    sys.stderr.write(f" {time.monotonic() - started_s:.0f} s\n")
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
