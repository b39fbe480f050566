"""What Headway takes while nothing is to be done: many people host their CI on a machine of 1 GB."""

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import clean_environment
from bench.result import Bench, Kind, Measured, Row, Target
from bench.servers import server
from tests.e2e.stack import until

MEMORY = Row(
    "rest-memory",
    "`headway serve` at rest a minute after its start, memory (PSS) of all its processes",
    "one Python process that imports FastAPI, SQLAlchemy and Celery",
    "MiB",
    Target(Kind.RATIO_AT_MOST, 2.0),
)
PROCESSOR = Row(
    "rest-processor",
    "`headway serve` at rest, part of one processor that it takes",
    "",
    "%",
    Target(Kind.FIGURE_AT_MOST, 0.4),
)
_SETTLED_S = 60
_WATCHED_S = 60
_BASELINE = "import celery.apps.worker, fastapi, sqlalchemy.orm, sys; print('imported', flush=True); sys.stdin.read()"


def at_rest(bench: Bench) -> dict[Row, Measured]:
    """One server with two slots, and one process beside it."""
    place = bench.place(MEMORY.name)
    with server(place) as stack:
        time.sleep(_SETTLED_S)
        family = family_of(stack.process.pid) if stack.process else []
        memory = {_name(pid): round(pss_mib(pid), 1) for pid in family}
        before_s = _processor_s(family)
        time.sleep(_WATCHED_S)
        part = (_processor_s(family) - before_s) / _WATCHED_S * 100
        total = sum(pss_mib(pid) for pid in family)
    note = ", ".join(f"{name} {mib}" for name, mib in memory.items())
    return {
        MEMORY: Measured(total, _baseline_mib(), {"ours": [total]}, note),
        PROCESSOR: Measured(part, None, {"ours": [part]}, f"of {len(family)} processes, over {_WATCHED_S} s"),
    }


def family_of(pid: int) -> list[int]:
    """The process, its children, and theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family_of(int(child)))]


def _name(pid: int) -> str:
    return f"{Path(f'/proc/{pid}/comm').read_text().strip()} ({pid})"


def pss_mib(pid: int) -> float:
    """Proportional set size: what several processes share counts once in all."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _processor_s(pids: list[int]) -> float:
    """What all threads of the processes have taken, in seconds; the kernel counts it in nanoseconds."""
    threads = (thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _baseline_mib() -> float:
    command = [sys.executable, "-c", _BASELINE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(), cwd=os.sep
    ) as process:
        try:
            until("the baseline has imported all", lambda: process.stdout and process.stdout.readline())
            return pss_mib(process.pid)
        finally:
            process.kill()
