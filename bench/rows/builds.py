"""A build that BuildKit has in its cache: what is left is everybody's own overhead."""

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import measure
from bench.measure import HEADWAY, clean_environment, headway_run, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.folders import repository

CACHED = Row(
    "build-cached",
    "cached Dockerfile-only pipeline, whole `headway run`",
    "`docker buildx build` of the same",
    "s",
    Target(Kind.RATIO_AT_MOST, 2.0, 1.5),
)
INSTRUCTIONS = 4
_IMAGE = "headway-bench/cached:1"
_DOCKERFILE = """\
FROM busybox
WORKDIR /app
RUN echo one > one
COPY . .
RUN cat Dockerfile one > two
CMD ["cat", "two"]
"""


def cached(bench: Bench) -> dict[Row, Measured]:
    """The same folder built by both, again and again, with nothing changed."""
    folder = repository(bench.place(CACHED.name) / "repository", {"Dockerfile": _DOCKERFILE, "README": "cached\n"})
    command = ["docker", "buildx", "build", "--load", "--tag", _IMAGE, str(folder)]
    variants: dict[str, Callable[[], float]] = {
        "ours": partial(headway_run, folder),
        "baseline": partial(measure.run, command),
    }
    try:
        timed = interleave(bench.rounds_of(9), variants)
    finally:
        subprocess.run(["docker", "image", "rm", _IMAGE], capture_output=True, check=False)
    note = f"of {INSTRUCTIONS} instructions after FROM, ours had {_from_cache(folder)} from the cache"
    return {CACHED: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures), note)}


def _from_cache(folder: Path) -> int:
    """How many instructions of our build need not be carried out again: all of them, if the row is what it says."""
    command = [str(HEADWAY), "run", str(folder)]
    said = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True).stdout
    return sum(line.rstrip().endswith("CACHED") for line in said.splitlines())
