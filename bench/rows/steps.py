"""What a step costs in `headway run`, against `docker run`, and a whole run against a peer."""

import shutil
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import measure
from bench.measure import HEADWAY, NotMeasurableError, docker_run, headway_run, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.folders import PIPELINE_FILE, pipeline
from bench.rows.peer import ONE_AFTER_ANOTHER, Peer

SLEEP_S = 0.3

SLEEP = Row(
    "step-sleep",
    "a further step of `sleep 0.3`, less the 0.3 s",
    "`docker run`, one after another",
    "s",
    Target(Kind.RATIO_AT_MOST, 0.05),
)
TRUE = Row(
    "step-true",
    "a further step of `true`",
    "`docker run`, one after another",
    "s",
    Target(Kind.RATIO_AT_MOST, 0.5),
)
ONE = Row(
    "run-one",
    "a whole run of one step `true`",
    "one `docker run`",
    "s",
    Target(Kind.RATIO_AT_MOST, 3.0),
)
PEER = Row(
    "run-twenty",
    "a whole run of 20 steps of `true`",
    "20 jobs of gitlab-ci-local 4.56, one after another",
    "s",
    Target(Kind.RATIO_AT_MOST, 0.2),
)
WOODPECKER = Row(
    "run-twenty-woodpecker",
    "a whole run of 20 steps of `true`",
    "`woodpecker-cli exec` of the same file",
    "s",
    Target(Kind.RATIO_AT_MOST, 0.45),
)


def loop(count: int, *words: str) -> float:
    """Seconds of so many `docker run` one after another."""
    return sum(measure.run(docker_run(*words)) for _ in range(count))


def further(bench: Bench, place: Path, command: str, fewer: int, beyond_s: float, rounds: int) -> Measured:
    """What one more step costs: twice as many steps less as many, so that start-up and clean-up fall out.

    Of a loop of `docker run` the same difference is the loop's second half, which is what is timed.
    """
    short, long = (pipeline(place / str(count), count, command) for count in (fewer, 2 * fewer))
    words = command.split()

    def ours() -> float:
        return (headway_run(long) - headway_run(short)) / fewer - beyond_s

    def theirs() -> float:
        return loop(fewer, *words) / fewer - beyond_s

    timed = interleave(bench.rounds_of(rounds), {"ours": ours, "baseline": theirs}, warm_up=False)
    return Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures))


def further_sleep(bench: Bench) -> dict[Row, Measured]:
    """Steps that take a while: the next is up before the present one ends."""
    return {SLEEP: further(bench, bench.place(SLEEP.name), f"sleep {SLEEP_S}", 15, SLEEP_S, 3)}


def further_true(bench: Bench) -> dict[Row, Measured]:
    """Steps that take no time: the engine's own pace is the limit."""
    return {TRUE: further(bench, bench.place(TRUE.name), "true", 20, 0.0, 3)}


def whole_run(bench: Bench) -> dict[Row, Measured]:
    """Start-up of the program, plan, checkout, one step, clean-up."""
    folder = pipeline(bench.place(ONE.name) / "one", 1, "true")
    all_gone: list[float] = []

    def ours() -> float:
        took_s = measure.run([HEADWAY, "run", folder])
        all_gone.append(took_s + measure.let_engine_rest())
        return took_s

    variants: dict[str, Callable[[], float]] = {
        "ours": ours,
        "baseline": partial(measure.run, docker_run("true")),
    }
    timed = interleave(bench.rounds_of(9), variants)
    note = f"until its cleanup process has removed all that it made: {statistics.median(all_gone):.2f} s"
    return {ONE: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures), note)}


def against_peer(bench: Bench) -> dict[Row, Measured]:
    """Twenty steps in order, here as steps, there as jobs.

    By default the peer runs its jobs in parallel: that is not a pipeline of 20 steps, but it is the peer's faster way,
    so it is measured too and shown in the note.
    """
    place = bench.place(PEER.name)
    folder = pipeline(place / "ours", 20, "true")
    with Peer(bench.cache) as peer:
        project = peer.project(place / "theirs", 20, "true")
        variants: dict[str, Callable[[], float]] = {
            "ours": partial(headway_run, folder),
            "baseline": partial(peer.run, project, *ONE_AFTER_ANOTHER),
            "baseline_side_by_side": partial(peer.run, project),
        }
        # A job of theirs takes most of a second: no round is spent on warming up beyond one short run.
        peer.run(peer.project(place / "warm", 1, "true"))
        headway_run(folder)
        timed = interleave(bench.rounds_of(3), variants, warm_up=False)
    ours, beside = timed.median("ours"), timed.median("baseline_side_by_side")
    note = f"its jobs in parallel, as by default: {beside:.2f} s, to which ours is {ours / beside:.2f}"
    return {PEER: Measured(ours, timed.median("baseline"), dict(timed.figures), note)}


def against_woodpecker(bench: Bench) -> dict[Row, Measured]:
    """Twenty steps in order, by the program whose language the file is in."""
    program = shutil.which("woodpecker-cli")
    if program is None:
        raise NotMeasurableError("woodpecker-cli is not on the PATH: no registry of packages has it")
    folder = pipeline(bench.place(WOODPECKER.name), 20, "true")
    command = [program, "exec", "--backend-engine", "docker", PIPELINE_FILE]
    variants: dict[str, Callable[[], float]] = {
        "ours": partial(headway_run, folder),
        "baseline": partial(measure.run, command, folder=folder),
    }
    timed = interleave(bench.rounds_of(3), variants)
    return {WOODPECKER: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures))}
