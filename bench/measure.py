"""Timing: rounds in which every variant is measured once, and medians of them."""

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADWAY = Path(sys.executable).with_name("headway")
MB = 1_000_000
MIB = 1024 * 1024
_TAIL_CHARS = 600
_REST_MAX_S, _LOOK_EVERY_S = 20, 0.05


class NotMeasurableError(Exception):
    """A row cannot be measured here. The text says why, for the table."""


@dataclass(frozen=True)
class Timed:
    """What each variant took, one figure per round. The variants alternate: A B A B ..."""

    figures: Mapping[str, tuple[float, ...]]

    def median(self, name: str) -> float:
        """The median of a variant's figures."""
        return statistics.median(self.figures[name])


def interleave(rounds: int, variants: Mapping[str, Callable[[], float]], *, warm_up: bool = True) -> Timed:
    """Measures every variant once in each round, so that noise of the machine affects all of them.

    Each returns its own figure. With ``warm_up``, one more round comes first and does not count.
    """
    figures: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + warm_up):
        for name, run in variants.items():
            figure = run()
            if number >= warm_up:
                figures[name].append(figure)
    return Timed({name: tuple(found) for name, found in figures.items()})


def percentile(values: Sequence[float], per_cent: float) -> float:
    """The smallest value that ``per_cent`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * per_cent / 100) - 1)]


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of Headway's, which would change what is measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
    return {**kept, **more}


def run(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    stdout: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 300,
) -> float:
    """Seconds from starting a program until it has ended. Raises NotMeasurableError when it fails.

    What it prints goes to a pipe, as in a script; or to the file ``stdout``.
    """
    if stdout is not None:
        with stdout.open("wb") as target:
            return _time(command, folder, target.fileno(), environment, timeout_s)
    return _time(command, folder, subprocess.PIPE, environment, timeout_s)


def _time(
    command: Sequence[str | Path],
    folder: Path | None,
    stdout: int,
    environment: Mapping[str, str] | None,
    timeout_s: float,
) -> float:
    started_s = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=clean_environment() if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=timeout_s,
    )
    took_s = time.perf_counter() - started_s
    if done.returncode != 0:
        said = (done.stderr + (done.stdout or b"")).decode(errors="replace")[-_TAIL_CHARS:]
        shown = " ".join(str(word) for word in command[:6])
        raise NotMeasurableError(f"`{shown}` ended with status {done.returncode}: {said.strip()}")
    return took_s


def headway_run(folder: Path) -> float:
    """Seconds of a whole `headway run`, as a person waits for it."""
    took_s = run([HEADWAY, "run", folder])
    let_engine_rest()
    return took_s


def let_engine_rest() -> float:
    """Waits until the cleanup process of a run is done, which would disturb the next figure; the seconds."""
    started_s = time.perf_counter()
    label = ("--filter", "label=headway.job", "--format", "{{.Labels}}")
    left = (("ps", "-a", *label), ("network", "ls", *label), ("images", "headway/build", "--format", "{{.Tag}}"))
    while any(
        b"local-" in subprocess.run(["docker", *what], stdout=subprocess.PIPE, check=True).stdout for what in left
    ):
        if time.perf_counter() - started_s > _REST_MAX_S:
            raise NotMeasurableError("the engine does not come to rest: is another `headway run` at work?")
        time.sleep(_LOOK_EVERY_S)
    return time.perf_counter() - started_s


def docker_run(*words: str) -> list[str]:
    """The command that people would write: a fresh busybox, removed at its end."""
    return ["docker", "run", "--rm", "busybox", *words]
