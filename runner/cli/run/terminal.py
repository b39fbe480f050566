"""The output of ``headway run``: on a terminal a live list of steps below the log; elsewhere plain lines."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.segment import Segment, Segments
from rich.spinner import Spinner
from rich.style import Style
from rich.table import Table
from rich.text import Text

from pipelines.plan import JobPlan
from pipelines.state import State
from pipelines.step_options.resources import shown_bytes
from pipelines.visible import visible, visible_line
from runner.events import (
    CachesUsed,
    Event,
    ImageBuilt,
    ImagePushed,
    InstructionChanged,
    JobNote,
    ProblemLinesFound,
    ReportsRead,
    ServiceChanged,
    StepFinished,
    StepMeasured,
    StepOutput,
    StepRetried,
    StepReused,
    StepStarted,
    Stream,
)
from runner.logs.ansi import harmless, last_state
from runner.report_results import Annotation, StepReports

_OUTPUT, _STDERR, _NOTE = Style(color="cyan"), Style(color="yellow"), Style(dim=True)
LINE_BYTES_MAX = 64 * 1024
"""A longer line is shown in pieces, because its end may never come."""

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
    used: str = ""


def _used(event: StepMeasured) -> str:
    """What a step used, as the end of the words about its time."""
    peak = f"{shown_bytes(event.memory_peak_bytes)} of memory" if event.memory_peak_bytes else ""
    return "".join(
        f", {part}" for part in (peak, f"{event.cpu_s:.1f} s of processor time" if event.cpu_s else "") if part
    )


class Terminal:
    """Shows the events of one job. Events may come from several threads."""

    def __init__(self, console: Console, plan: JobPlan) -> None:
        self._console = console
        self._rows = {step.number: _Row(visible_line(step.name)) for step in plan.steps}
        self._width = max((len(row.name) for row in self._rows.values()), default=0)
        self._lock = threading.Lock()
        self._live = Live(get_renderable=self._list, console=console, transient=True, refresh_per_second=8)
        self.pushed: list[str] = []
        self.started: set[int] = set()
        self.reports: dict[int, StepReports] = {}
        self.problem_lines: dict[int, tuple[Annotation, ...]] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Shows one event."""
        with self._lock:
            match event:
                case StepStarted(step=number):
                    self.started.add(number)
                    self._rows[number].state, self._rows[number].started_s = State.RUNNING, time.monotonic()
                case StepOutput():
                    self._output(self._rows[event.step], event)
                case StepFinished() | StepReused():
                    self._finished(self._rows[event.step], event)
                case ImagePushed():
                    self._pushed(f"{event.repo}:{event.tag}@{event.digest}")
                case JobNote(text=text):
                    self._print(Text(visible(text), style="dim"))
                case StepMeasured() | ReportsRead() | ProblemLinesFound():
                    self._learned(event)
                case CachesUsed() | ImageBuilt() | InstructionChanged() | StepRetried() | ServiceChanged():
                    pass

    def _pushed(self, name: str) -> None:
        if name not in self.pushed:  # an attempt pushes again what an earlier one has pushed
            self.pushed.append(name)

    def _learned(self, event: StepMeasured | ReportsRead | ProblemLinesFound) -> None:
        match event:
            case StepMeasured(step=number):
                self._rows[number].used = _used(event)
            case ReportsRead(step=number, reports=reports):
                self.reports[number] = reports
            case ProblemLinesFound(step=number, annotations=found):
                self.problem_lines[number] = found

    def _output(self, row: _Row, event: StepOutput) -> None:
        *lines, rest = (row.line + event.data).split(b"\n")
        row.line = last_state(rest)
        if len(row.line) > LINE_BYTES_MAX:
            lines.append(row.line)
            row.line = b""
        if lines:
            self._print(Segments(self._lines(row, lines, event.stream)), end="")

    def _lines(self, row: _Row, lines: Iterable[bytes], stream: Stream) -> Iterator[Segment]:
        name = Segment(f"{row.name:>{self._width}} | ", _STDERR if stream is Stream.STDERR else _OUTPUT)
        style = _NOTE if stream is Stream.NOTE else Style.null()
        for line in lines:
            text = harmless(last_state(line).rstrip(b"\r").decode(errors="replace"))
            yield name
            if "\x1b" in text:
                yield from Text.from_ansi(text, style=style, end="").render(self._console)
            else:
                yield Segment(text, style)
            yield Segment.line()

    def _finished(self, row: _Row, event: StepFinished | StepReused) -> None:
        outcome = event.outcome
        if isinstance(event, StepReused):
            self.started.add(event.step)
        if row.line:
            self._print(Segments(self._lines(row, [row.line], Stream.STDOUT)), end="")
            row.line = b""
        row.seconds = time.monotonic() - row.started_s if row.started_s else None
        row.state, row.message = outcome.state, visible_line(outcome.message)
        if not self._console.is_terminal:
            self._print(self._summary(row))

    def _print(self, text: RenderableType, end: str = "\n") -> None:
        self._console.print(text, soft_wrap=True, highlight=False, end=end)

    def _summary(self, row: _Row) -> Text:
        mark, style = _MARKS[row.state]
        took = f" in {row.seconds:.1f} s{row.used}" if row.seconds is not None else ""
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
        """Prints the list of steps again, so that it stays on the screen."""
        for row in self._rows.values():
            self._print(self._summary(row))
