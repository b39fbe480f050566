"""What the command line costs before it does anything."""

import sys
from functools import partial

from bench import measure
from bench.measure import HEADWAY, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.folders import repository

LINES = 50
LINT = Row(
    "lint",
    "`headway lint` of a 50-line file, whole process",
    "`python -c 'import pydantic, yaml, typer'`",
    "s",
    Target(Kind.RATIO_AT_MOST, 2.0),
)
_STEP = """\
  - name: step-{number}
    image: python:3.13-slim
    environment: {{ LEVEL: "{number}" }}
    commands:
      - python -m compileall -q src
      - test "$LEVEL" = {number}
"""


def fifty_lines() -> str:
    """A pipeline file of 50 lines."""
    text = "# a comment\nsteps:\n" + "".join(_STEP.format(number=number) for number in range(1, 9))
    assert text.count("\n") == LINES, text  # noqa: S101 - the row's title says so
    return text


def lint(bench: Bench) -> dict[Row, Measured]:
    """Start, imports, parse, compile, exit."""
    folder = repository(bench.place(LINT.name) / "repository", {".headway.yml": fifty_lines()})
    variants = {
        "ours": partial(measure.run, [HEADWAY, "lint", folder]),
        "baseline": partial(measure.run, [sys.executable, "-c", "import pydantic, yaml, typer"]),
    }
    timed = interleave(bench.rounds_of(15), variants)
    return {LINT: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures))}
