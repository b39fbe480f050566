"""The output of ``headway run``: on a terminal a live list of steps below the log; elsewhere plain lines."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.segment import Segment, Segments
from rich.style import Style
from rich.text import Text

from pipelines.plan import JobPlan
from pipelines.state import State
from pipelines.step_options.resources import shown_bytes
from pipelines.visible import visible, visible_line
from runner.cli.run.live_list import MARKS, JobRows, Row
from runner.cli.run.preparation import PreparationTimes
from runner.events import (
    CachesUsed,
    Event,
    ImageBuilt,
    ImagePullChanged,
    ImagePushed,
    InstructionChanged,
    JobEvent,
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
from runner.logs.ansi import harmless, last_state, without_escapes
from runner.report_results import Annotation, StepReports

_OUTPUT, _STDERR, _NOTE = Style(color="cyan"), Style(color="yellow"), Style(dim=True)
LINE_BYTES_MAX = 64 * 1024
"""A longer line is shown in pieces, because its end may never come."""

NAME_COLUMNS_MAX = 24
"""In the log, names of steps are made as long as the longest, but not longer than this."""
LAST_LINES_MAX = 10
LAST_LINE_BYTES_MAX = 1000
"""Of a step that has failed, so many lines are shown again at the end of the run, each with so many bytes."""


@dataclass
class _Step(Row):
    line: bytes = b""
    used: str = ""
    last: deque[bytes] = field(default_factory=lambda: deque(maxlen=LAST_LINES_MAX))


def _used(event: StepMeasured) -> str:
    """What a step used, as the end of the words about its time."""
    peak = f"{shown_bytes(event.memory_peak_bytes)} of memory" if event.memory_peak_bytes else ""
    return "".join(
        f", {part}" for part in (peak, f"{event.cpu_s:.1f} s of processor time" if event.cpu_s else "") if part
    )


class Terminal:
    """Shows the events of one job. Events may come from several threads.

    ``prefix`` stands before the names of steps in the log. With ``live``, ``rows`` are shown by a live list, and a step
    that has ended gets no line of its own in the log.
    """

    def __init__(self, console: Console, plan: JobPlan, *, live: bool = False, prefix: str = "") -> None:
        self._console, self._live = console, live
        self._rows = {step.number: _Step(visible_line(step.name)) for step in plan.steps}
        self._ignored = {step.number for step in plan.steps if step.failure == "ignore"}
        self._prefix = visible_line(prefix)
        self._width = min(max((len(row.name) for row in self._rows.values()), default=0), NAME_COLUMNS_MAX)
        self._lock, self._preparation = threading.Lock(), PreparationTimes()
        self.rows = JobRows(Row(visible_line(plan.title)), list(self._rows.values()))
        self.pushed: list[str] = []
        self.started: set[int] = set()
        self.reports: dict[int, StepReports] = {}
        self.problem_lines: dict[int, tuple[Annotation, ...]] = {}

    def __call__(self, event: Event) -> None:
        """Shows one event."""
        with self._lock:
            match event:
                case StepStarted(step=number):
                    self.started.add(number)
                    self._rows[number].start()
                case StepOutput():
                    self._output(self._rows[event.step], event)
                case StepFinished() | StepReused():
                    self._finished(self._rows[event.step], event)
                case ImagePushed():
                    self._pushed(f"{event.repo}:{event.tag}@{event.digest}")
                case StepMeasured() | ReportsRead() | ProblemLinesFound():
                    self._learned(event)
                case JobNote() | ImagePullChanged() | ServiceChanged():
                    self._of_job(event)
                case CachesUsed() | ImageBuilt() | InstructionChanged() | StepRetried():
                    pass

    def _of_job(self, event: JobEvent) -> None:
        if isinstance(event, JobNote):
            self._print(Text(visible(event.text), style="dim"))
        elif line := self._preparation.line(event):
            self._print(Text(visible_line(line), style="dim"))

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

    def _output(self, row: _Step, event: StepOutput) -> None:
        *lines, rest = (row.line + event.data).split(b"\n")
        row.line = last_state(rest)
        if len(row.line) > LINE_BYTES_MAX:
            lines.append(row.line)
            row.line = b""
        if lines:
            if event.stream is not Stream.NOTE:
                row.last.extend(last_state(line)[:LAST_LINE_BYTES_MAX] for line in lines[-LAST_LINES_MAX:])
            self._print(Segments(self._lines(row, lines, event.stream)), end="")

    def _lines(self, row: _Step, lines: Iterable[bytes], stream: Stream) -> Iterator[Segment]:
        name = Segment(f"{self._prefix}{row.name:>{self._width}} | ", _STDERR if stream is Stream.STDERR else _OUTPUT)
        style = _NOTE if stream is Stream.NOTE else Style.null()
        for line in lines:
            text = _text(last_state(line))
            yield name
            if "\x1b" in text:
                yield from Text.from_ansi(text, style=style, end="").render(self._console)
            else:
                yield Segment(text, style)
            yield Segment.line()

    def _finished(self, row: _Step, event: StepFinished | StepReused) -> None:
        outcome = event.outcome
        if isinstance(event, StepReused):
            self.started.add(event.step)
        if row.line:
            self._print(Segments(self._lines(row, [row.line], Stream.STDOUT)), end="")
            row.last.append(row.line[:LAST_LINE_BYTES_MAX])
            row.line = b""
        row.end(outcome.state, visible_line(outcome.message))
        if not self._live:
            self._print(self._summary(row))

    def _print(self, text: RenderableType, end: str = "\n") -> None:
        self._console.print(text, soft_wrap=True, highlight=False, end=end)

    def _summary(self, row: _Step) -> Text:
        mark, style = MARKS[row.state]
        took = f" in {row.seconds:.1f} s" if row.seconds is not None else ""
        used = row.used if row.seconds is not None else ""
        why = f": {row.message}" if row.message else ""
        return Text.assemble(
            (f"{mark} {row.name} {row.state}{took}", style), (used, "dim"), (why, "dim" if not row.seconds else style)
        )

    def summary(self) -> None:
        """Prints the list of steps again, so that it stays on the screen."""
        for row in self._rows.values():
            self._print(self._summary(row))

    def failed_step(self) -> str:
        """The name of the first step whose failure counts; empty if there is none."""
        failed = (number for number, row in self._rows.items() if row.state is State.FAILED)
        return next((self._rows[number].name for number in failed if number not in self._ignored), "")

    def last_lines(self) -> Sequence[str]:
        """The last lines of each step that has failed, where neither reports nor problem lines say why."""
        shown = []
        for number, row in self._rows.items():
            if row.state is State.FAILED and row.last and not {number} & {*self.reports, *self.problem_lines}:
                shown += [f"the last lines of {row.name}:", *(f"  {without_escapes(_text(line))}" for line in row.last)]
        return shown


def _text(line: bytes) -> str:
    return harmless(line.rstrip(b"\r").decode(errors="replace"))
