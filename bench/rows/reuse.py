"""A pipeline in which nothing has changed, against a look at its plan."""

import os
from functools import partial

from bench import measure
from bench.measure import HEADWAY, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.folders import repository

STEPS = 20
TWENTY = Row(
    "reuse-twenty",
    f"`headway run` of {STEPS} steps of 1 s, nothing changed, all reusable",
    "`headway plan` of it",
    "s",
    Target(Kind.RATIO_AT_MOST, 2.0),
)
_STEP = "  - {{name: step-{number}, image: busybox, commands: [sleep 1], sources: src-{number}}}\n"


def twenty(bench: Bench) -> dict[Row, Measured]:
    """The first run leaves the results; the others take them all."""
    place = bench.place(TWENTY.name)
    files = {f"src-{number}": f"{number}\n" for number in range(STEPS)}
    pipeline = "steps:\n" + "".join(_STEP.format(number=number) for number in range(STEPS))
    folder = repository(place / "repository", {".headway.yml": pipeline, **files})
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache")}
    measure.run([HEADWAY, "run", folder], environment=environment)
    variants = {
        "ours": partial(measure.run, [HEADWAY, "run", folder], environment=environment),
        "baseline": partial(measure.run, [HEADWAY, "plan", folder], environment=environment),
    }
    timed = interleave(bench.rounds_of(9), variants)
    return {TWENTY: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures))}
