"""A step that prints 165 MB: how long it takes on the server's own path, and how much memory."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from bench import measure
from bench.measure import MIB, NotMeasurableError, clean_environment, docker_run, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.folders import repository
from bench.servers import redis_server

BYTES = 165_000_000
PRODUCER = f"yes a-short-line-of-a-test-suite-ok | head -c {BYTES}"
WALL = Row(
    "log-wall",
    "165 MB of short lines from one step, stored, indexed, masked with 20 secrets",
    "`docker run` to a file",
    "s",
    Target(Kind.RATIO_AT_MOST, 1.25),
)
MEMORY = Row(
    "log-memory",
    "peak memory of the process during that, beyond its idle",
    "",
    "MiB",
    Target(Kind.FIGURE_AT_MOST, 48),
)
_CHILD_S = 240
_PIPELINE = f'steps:\n  - name: flood\n    image: busybox\n    commands: ["{PRODUCER}"]\n'
_QUIET = 'steps:\n  - name: quiet\n    image: busybox\n    commands: ["echo quiet"]\n'


def flood(bench: Bench) -> dict[Row, Measured]:
    """A new worker process each round, warmed up by a quiet job, so that its memory tells of this log alone."""
    place = bench.place("log")
    loud = repository(place / "loud", {".headway.yml": _PIPELINE})
    quiet = repository(place / "quiet", {".headway.yml": _QUIET})
    found: list[dict[str, Any]] = []
    target = place / "baseline.log"
    with redis_server(place / "redis") as url:

        def ours() -> float:
            found.append(_worker(place / f"data-{len(found)}", url, loud, quiet))
            return float(found[-1]["step_s"])

        variants: dict[str, Callable[[], float]] = {
            "ours": ours,
            "baseline": partial(measure.run, docker_run("sh", "-c", PRODUCER), stdout=target),
        }
        timed = interleave(bench.rounds_of(3), variants, warm_up=False)
    if target.stat().st_size != BYTES:
        raise NotMeasurableError(f"docker run wrote {target.stat().st_size} bytes instead of {BYTES}")
    memory = [(each["peak_kib"] - each["idle_kib"]) * 1024 / MIB for each in found]
    idle = [round(each["idle_kib"] * 1024 / MIB, 1) for each in found]
    jobs = [round(each["job_s"], 2) for each in found]
    return {
        WALL: Measured(
            timed.median("ours"), timed.median("baseline"), dict(timed.figures),
            note=f"the whole job, checkout and clean-up included: {sorted(jobs)[len(jobs) // 2]} s",
        ),
        # The worst round, for it is a limit.
        MEMORY: Measured(max(memory), rounds={"ours": memory, "idle": idle}, note=f"idle: {max(idle)} MiB"),
    }  # fmt: skip


def _worker(data: Path, redis_url: str, loud: Path, quiet: Path) -> dict[str, Any]:
    """One run of ``bench.log_child``; what it found."""
    command = [sys.executable, "-m", "bench.log_child", str(loud), str(quiet), str(BYTES)]
    environment = clean_environment(HEADWAY_DATA_DIR=str(data), HEADWAY_REDIS_URL=redis_url)
    done = subprocess.run(
        command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, check=False, timeout=_CHILD_S
    )
    if done.returncode != 0:
        raise NotMeasurableError(f"the worker failed: {done.stderr.decode(errors='replace')[-800:].strip()}")
    return cast("dict[str, Any]", json.loads(done.stdout.splitlines()[-1]))
