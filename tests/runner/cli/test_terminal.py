"""What ``headway run`` prints of a step's output."""

import io

import pytest
from rich.console import Console

from pipelines.plan import JobPlan
from pipelines.state import PASSED, Outcome, State
from runner.cli.run.terminal import LAST_LINE_BYTES_MAX, LAST_LINES_MAX, LINE_BYTES_MAX, NAME_COLUMNS_MAX, Terminal
from runner.events import ProblemLinesFound, StepFinished, StepMeasured, StepOutput, StepStarted, Stream
from runner.report_results import Annotation
from tests.support.plans import numbered, shell


class Screen:
    """A terminal, or a file that output goes to."""

    def __init__(self, *, terminal: bool = False, live: bool = False, prefix: str = "") -> None:
        self._file = io.StringIO()
        console = Console(file=self._file, force_terminal=terminal, color_system="standard" if terminal else None)
        plan = JobPlan(name="job", file="f", number=1, steps=numbered([shell(name="unit"), shell(name="longer")]))
        self.shows = Terminal(console, plan, live=live, prefix=prefix)
        self._offset = 0

    def says(self, data: bytes, stream: Stream = Stream.STDOUT) -> None:
        self.shows(StepOutput(1, self._offset, data, stream))
        self._offset += len(data)

    def text(self) -> str:
        return self._file.getvalue()


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_lines_are_printed_whole_behind_the_steps_name(size: int) -> None:
    screen, data = Screen(), "one ü\n\nthree\r\nhalf".encode()
    screen.shows(StepStarted(1))
    for start in range(0, len(data), size):
        screen.says(data[start : start + size])
    screen.shows(StepFinished(1, PASSED))
    assert screen.text().splitlines()[:4] == ["  unit | one ü", "  unit | ", "  unit | three", "  unit | half"]


def test_a_progress_bar_is_printed_once_as_it_was_at_its_end() -> None:
    screen = Screen()
    for number in range(101):
        screen.says(b"\r%d%%" % number)
    assert screen.text() == ""
    screen.says(b"\n")
    assert screen.text() == "  unit | 100%\n"


def test_a_line_that_never_ends_is_printed_in_pieces_and_not_kept() -> None:
    screen = Screen()
    for _ in range(10):
        screen.says(b"x" * LINE_BYTES_MAX)
    lines = screen.text().splitlines()
    assert len(lines) == 5
    assert {line[:9] for line in lines} == {"  unit | "}
    assert sum(line.count("x") for line in lines) == 10 * LINE_BYTES_MAX


def test_output_may_colour_a_terminal_and_do_nothing_else_to_it() -> None:
    screen = Screen(terminal=True)
    screen.says(bytes(range(256)).replace(b"\n", b"") + b"\x1bc\x1b[2J\x1b]0;title\x07\x1b(0 \x1b[31mred\x1b[0m\n")
    assert screen.text().endswith("\x1b[31mred\x1b[0m\n")
    rest = screen.text().replace("\x1b[36m  unit | \x1b[0m", "").replace("\x1b[31mred\x1b[0m", "")
    assert not [sign for sign in rest if sign != "\n" and (ord(sign) < 32 or 127 <= ord(sign) < 160)]


def test_standard_error_is_told_apart_by_the_colour_of_the_name() -> None:
    screen = Screen(terminal=True)
    screen.says(b"out\n")
    screen.says(b"err\n", Stream.STDERR)
    assert screen.text() == "\x1b[36m  unit | \x1b[0mout\n\x1b[33m  unit | \x1b[0merr\n"


def test_what_a_step_used_stands_beside_its_time() -> None:
    screen = Screen()
    screen.shows(StepStarted(1))
    screen.shows(StepMeasured(1, 48 * 1024**2, 1.25, 0))
    screen.shows(StepFinished(1, PASSED))
    assert ", 48 MiB of memory, 1.2 s of processor time" in screen.text()


def test_a_step_with_a_long_name_moves_the_lines_of_others_only_so_far() -> None:
    out = io.StringIO()
    names = ["unit", "x" * (NAME_COLUMNS_MAX + 1)]
    plan = JobPlan(name="job", file="f", number=1, steps=numbered([shell(name=name) for name in names]))
    shows = Terminal(Console(file=out), plan)
    shows(StepOutput(1, 0, b"a\n", Stream.STDOUT))
    shows(StepOutput(2, 0, b"b\n", Stream.STDOUT))
    assert out.getvalue() == f"{'unit':>{NAME_COLUMNS_MAX}} | a\n{names[1]} | b\n"


FAILED = Outcome(State.FAILED, message="exited with 1")


def test_jobs_that_run_at_once_are_told_apart_by_a_prefix_without_control_characters() -> None:
    screen = Screen(prefix="web \x1b[2J/")
    screen.says(b"hello\n")
    assert screen.text() == "web \\x1b[2J/  unit | hello\n"


def test_with_a_live_list_the_end_of_a_step_is_no_line_of_the_log() -> None:
    screen = Screen(terminal=True, live=True)
    screen.shows(StepStarted(1))
    screen.shows(StepFinished(1, PASSED))
    assert screen.text() == ""
    assert [row.state for row in screen.shows.rows.steps] == [State.PASSED, State.QUEUED]
    screen.shows.summary()
    assert "✓ unit passed in" in screen.text()


@pytest.mark.parametrize(("count", "first"), [(LAST_LINES_MAX, 0), (LAST_LINES_MAX + 1, 1)])
def test_the_last_lines_of_a_step_that_failed_are_kept_for_the_end(count: int, first: int) -> None:
    screen = Screen()
    for number in range(count):
        screen.says(b"\x1b[31mline %d\x1b[0m\x1b[2J\n" % number)
    assert screen.shows.last_lines() == []
    screen.shows(StepFinished(1, FAILED))
    said = screen.shows.last_lines()
    assert said == ["the last lines of unit:", *(f"  line {number}" for number in range(first, count))]


@pytest.mark.parametrize("over", [0, 1])
def test_a_last_line_is_cut_at_its_limit(over: int) -> None:
    screen = Screen()
    screen.says(b"x" * (LAST_LINE_BYTES_MAX + over))
    screen.shows(StepFinished(1, FAILED))
    assert screen.shows.last_lines()[1] == "  " + "x" * LAST_LINE_BYTES_MAX


def test_no_last_lines_are_shown_where_the_cause_is_known_or_the_step_has_passed() -> None:
    screen = Screen()
    screen.says(b"error\n")
    screen.says(b"note\n", Stream.NOTE)
    screen.shows(StepFinished(1, PASSED))
    assert screen.shows.last_lines() == []
    screen.shows(StepFinished(1, FAILED))
    assert screen.shows.last_lines() == ["the last lines of unit:", "  error"]
    screen.shows(ProblemLinesFound(1, (Annotation("error", "a.c", 1, 0, "wrong"),)))
    assert screen.shows.last_lines() == []
