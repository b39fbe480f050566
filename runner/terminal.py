"""``headway run`` on a terminal: a live list of steps below the output; plain lines where there is no terminal."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipelines.plan import JobPlan
from pipelines.state import Outcome, State
from runner.events import (
    Event,
    ImageBuilt,
    ImagePushed,
    InstructionChanged,
    JobNote,
    StepFinished,
    StepOutput,
    StepStarted,
    Stream,
)

_MARKS: Mapping[State, tuple[str, str]] = {
    State.QUEUED: ("·", "dim"),
    State.RUNNING: ("▸", "cyan"),
    State.PASSED: ("✓", "green"),
    State.FAILED: ("✗", "red"),
    State.BROKEN: ("!", "magenta"),
    State.CANCELED: ("■", "yellow"),
    State.SKIPPED: ("-", "dim"),
}


@dataclass
class _Row:
    name: str
    state: State = State.QUEUED
    started_s: float = 0.0
    seconds: float | None = None
    line: bytes = b""
    message: str = ""


class Terminal:
    """Listens to one job. Events may come from several threads."""

    def __init__(self, console: Console, plan: JobPlan) -> None:
        self._console = console
        self._rows = {step.number: _Row(step.name) for step in plan.steps}
        self._width = max((len(step.name) for step in plan.steps), default=0)
        self._lock = threading.Lock()
        self._live = Live(get_renderable=self._list, console=console, transient=True, refresh_per_second=8)
        self.pushed: list[str] = []

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Shows what happened."""
        with self._lock:
            match event:
                case StepStarted(step=number):
                    self._rows[number].state, self._rows[number].started_s = State.RUNNING, time.monotonic()
                case StepOutput():
                    self._output(self._rows[event.step], event)
                case StepFinished():
                    self._finished(self._rows[event.step], event.outcome)
                case ImagePushed():
                    self.pushed.append(f"{event.repo}:{event.tag}@{event.digest}")
                case JobNote(text=text):
                    self._say(Text(text, style="dim"))
                case ImageBuilt() | InstructionChanged():
                    pass

    def _output(self, row: _Row, event: StepOutput) -> None:
        *lines, row.line = (row.line + event.data).split(b"\n")
        for line in lines:
            self._line(row, line, dim=event.stream is Stream.NOTE)

    def _line(self, row: _Row, line: bytes, *, dim: bool = False) -> None:
        text = line.decode(errors="replace").rstrip("\r").rpartition("\r")[2]
        said = Text.from_ansi(text, style="dim" if dim else "")
        self._say(Text.assemble((f"{row.name:>{self._width}} | ", "cyan"), said))

    def _finished(self, row: _Row, outcome: Outcome) -> None:
        if row.line:
            self._line(row, row.line)
            row.line = b""
        row.seconds = time.monotonic() - row.started_s if row.started_s else None
        row.state, row.message = outcome.state, outcome.message
        if not self._console.is_terminal:
            self._say(self._summary(row))

    def _say(self, text: RenderableType) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def _summary(self, row: _Row) -> Text:
        mark, style = _MARKS[row.state]
        took = f" in {row.seconds:.1f} s" if row.seconds is not None else ""
        why = f": {row.message}" if row.message else ""
        return Text.assemble(
            (f"{mark} {row.name} {row.state}{took}", style), (why, "dim" if not row.seconds else style)
        )

    def _list(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for row in self._rows.values():
            mark, style = _MARKS[row.state]
            running = row.state is State.RUNNING
            seconds = time.monotonic() - row.started_s if running else row.seconds
            icon: RenderableType = Spinner("dots", style=style) if running else Text(mark, style=style)
            took = f"{seconds:.1f} s" if seconds is not None else ""
            table.add_row(icon, Text(row.name), Text(took, style="dim"), Text(row.message, style="dim"))
        return Group(Text(), table)

    def summary(self) -> None:
        """The list of steps once more, to stay on the screen."""
        for row in self._rows.values():
            self._say(self._summary(row))
