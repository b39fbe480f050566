"""The live list of ``headway run`` on a terminal: workflows and steps with their state and time, below the log."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from pipelines.state import State

MARKS: Mapping[State, tuple[str, str]] = {
    State.QUEUED: ("·", "dim"),
    State.RUNNING: ("▸", "cyan"),
    State.PASSED: ("✓", "green"),
    State.FAILED: ("✗", "red"),
    State.BROKEN: ("!", "magenta"),
    State.CANCELED: ("■", "yellow"),
    State.SKIPPED: ("-", "dim"),
}
_TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_PER_S = 8
LINES_KEPT_FREE = 4
"""So many lines of a terminal are left for the log."""
LINES_MIN = 3
"""The list has at least so many lines, also on a terminal that is very low."""


@dataclass
class Row:
    """A step or a job of the list. ``name`` and ``message`` have no control characters."""

    name: str
    state: State = State.QUEUED
    started_s: float = 0.0
    seconds: float | None = None
    message: str = ""

    def start(self) -> None:
        """It runs from now on."""
        self.state, self.started_s = State.RUNNING, time.monotonic()

    def end(self, state: State, message: str) -> None:
        """It has ended so."""
        self.seconds = time.monotonic() - self.started_s if self.started_s else None
        self.state, self.message = state, message


@dataclass
class JobRows:
    """A job and its steps."""

    job: Row
    steps: list[Row] = field(default_factory=list)


class LiveList:
    """The list of all jobs of a run, redrawn in place while it is open. Without a terminal it shows nothing."""

    def __init__(self, console: Console) -> None:
        """``jobs`` by their numbers are to be added; other threads may change their rows."""
        self.jobs: dict[int, JobRows] = {}
        self.on = console.is_terminal and not console.is_dumb_terminal and not os.environ.get("NO_COLOR")
        self._console = console
        self._live = Live(get_renderable=self._shown, console=console, transient=True, refresh_per_second=_FRAMES_PER_S)

    def __enter__(self) -> Self:
        if self.on:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _shown(self) -> RenderableType:
        return Group(Text(), *self.lines(self._console.height, time.monotonic()))

    def lines(self, height: int, now_s: float) -> list[Text]:
        """The list, in so many lines that the log keeps its place on a terminal of this height."""
        rows = list(self._rows())
        room = max(height - LINES_KEPT_FREE, LINES_MIN)
        if len(rows) <= room:
            return [_line(row, indent, now_s) for row, indent in rows]
        # What runs or has failed counts most, then what comes next.
        ranked = sorted(range(len(rows)), key=lambda index: (_rank(rows[index][0].state), index))
        kept = sorted(ranked[: room - 1])
        left = len(rows) - len(kept)
        return [*(_line(*rows[index], now_s) for index in kept), Text(f"… and {left:,} more", style="dim")]

    def _rows(self) -> Iterator[tuple[Row, str]]:
        """The rows with their indentation. Of several jobs, steps are shown of those alone that run or have failed."""
        jobs = list(self.jobs.values())
        if len(jobs) == 1:
            yield from ((row, "") for row in jobs[0].steps)
            return
        for job in jobs:
            yield job.job, ""
            if job.job.state in {State.RUNNING, State.FAILED, State.BROKEN}:
                yield from ((row, "  ") for row in job.steps)


def _rank(state: State) -> int:
    match state:
        case State.RUNNING | State.FAILED | State.BROKEN:
            return 0
        case State.QUEUED:
            return 1
        case _:
            return 2


def _line(row: Row, indent: str, now_s: float) -> Text:
    mark, style = MARKS[row.state]
    seconds = row.seconds
    if row.state is State.RUNNING:
        mark, seconds = _TURNING[int(now_s * _FRAMES_PER_S) % len(_TURNING)], now_s - row.started_s
    took = f" {seconds:.1f} s" if seconds is not None else ""
    message = f" {row.message}" if row.message else ""
    return Text.assemble(
        indent, (mark, style), f" {row.name}", (took, "dim"), (message, "dim"), no_wrap=True, overflow="ellipsis"
    )
