"""What a person sees of ``headway run`` on a terminal: the log, and below it the live list that is redrawn in place."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.screen import Screen

pytestmark = pytest.mark.slow

PROGRAM = """
import os
import sys
from rich.console import Console
from pipelines.plan import JobPlan
from pipelines.state import Outcome, State
from runner.cli.run.live_list import LiveList
from runner.cli.run.terminal import Terminal
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.support.plans import numbered, shell

console = Console(highlight=False)
live = LiveList(console)
steps = numbered([shell(name="unit"), shell(name="a name that is long " * 4)])
terminal = Terminal(console, JobPlan(name="job", file="f", number=1, steps=steps), live=live.on)
live.jobs[1] = terminal.rows
with live:
    terminal(StepStarted(1))
    for number, line in enumerate(sys.stdin.buffer):
        if line == b"end\\n":
            terminal(StepFinished(1, Outcome(State.FAILED, message="exited with 1")))
        else:
            terminal(StepOutput(1, number, line.decode("unicode_escape").encode("latin-1"), Stream.STDOUT))
        live._live.refresh()
        os.write(2, b"shown\\n")
terminal.summary()
console.print("\\n".join(terminal.last_lines()), soft_wrap=True)
"""


class Program:
    """The program on a pseudo terminal; each line given to it is output of its step."""

    def __init__(self, process: "subprocess.Popen[bytes]", terminal: int) -> None:
        self._process, self._terminal = process, terminal
        self.written = ""

    def says(self, line: bytes) -> None:
        assert self._process.stdin
        assert self._process.stderr
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()
        assert self._process.stderr.readline().startswith(b"shown")

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def end(self) -> str:
        """All that it has written to the terminal, once it has ended."""
        assert self._process.stdin
        self._process.stdin.close()
        while True:
            try:
                part = os.read(self._terminal, 65536)
            except OSError:  # how a terminal reports that its other end is closed
                break
            self.written += part.decode().replace("\r\n", "\n")
        assert self._process.wait(60) == 0
        return self.written


@contextmanager
def program(columns: int, **env: str) -> Iterator[Program]:
    ours, theirs = pty.openpty()
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", **env}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=variables, stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        made = Program(process, ours)
        made.resize(columns, 30)
        try:
            yield made
        finally:
            process.kill()
            os.close(ours)


def shown(columns: int, said: list[bytes]) -> Screen:
    with program(columns) as running:
        for line in said:
            running.says(line)
        written = running.end()
    screen = Screen(columns)
    screen.feed(written)
    return screen


@pytest.mark.parametrize("columns", [12, 200])
def test_the_log_stays_and_the_list_is_gone_at_the_end_at_every_width(columns: int) -> None:
    screen = shown(columns, [b"one", b"two " * 30, b"three", b"end"])
    assert screen.cursor_shown
    seen = screen.text().replace("\n", "")
    assert seen.count("| one") == 1
    assert seen.count("two") == 30 * 2  # in the log, and among the last lines
    assert seen.count("· a name") == 1  # the summary, and none of the lists
    assert seen.endswith("  three")


def test_output_moves_no_cursor_and_leaves_no_list_behind() -> None:
    screen = shown(60, [rb"\x1b[5A\x1b[2J\x1b]0;title\x07\x9b2Jup", rb"\rover", rb"\x08\x0b\x00", b"end"])
    seen = screen.text()
    assert "2Jup" in seen
    assert "| over" in seen
    assert seen.count("✗ unit failed") == 1


def test_a_terminal_that_gets_narrow_cuts_the_list() -> None:
    with program(200) as running:
        running.says(b"wide")
        running.resize(20, 10)
        running.says(b"narrow")
        narrow = running.end().rpartition("narrow")[2]
    lists = [line for line in narrow.split("\x1b[2K") if "a name that is" in line]
    assert lists
    assert all(len(line.split("\x1b[")[0].rstrip("\n")) <= 20 for line in lists[:1])


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_where_nothing_can_be_redrawn_there_are_plain_lines(env: dict[str, str]) -> None:
    with program(80, **env) as running:
        running.says(b"one")
        running.says(b"end")
        written = running.end()
    assert "\x1b[2K" not in written
    assert "\x1b[?25l" not in written
    assert written.splitlines()[0].endswith("unit | one")
    assert "✗ unit failed" in written
