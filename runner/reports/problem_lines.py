"""Finds problem lines of common tools in the output of a step, while it comes."""

import re
from dataclasses import dataclass, field
from typing import Final

from runner.events import Stream
from runner.logs.ansi import last_state, without_escapes
from runner.report_results import Annotation
from runner.reports.places import in_checkout
from runner.reports.problem_patterns import Problem, ProblemPatterns
from runner.reports.words import one_line

LINE_BYTES_MAX: Final = 2000
"""A longer line is not looked at."""
LINES_COUNT_MAX = 200_000
"""So many lines that may name a problem are looked at in a step."""
ANNOTATIONS_COUNT_MAX = 50
MESSAGE_CHARACTERS_MAX = 500
SHOWN_COMMAND = "+ "
_SIGN = re.compile(
    rb":[0-9]|\([0-9]+,[0-9]|:\[[0-9]|, line [0-9]|on line [0-9]|rror|arning|Exception|FAILED|panicked|-->"
    rb"|(?:^|\n)(?:E   |[A-Z]{1,6}[0-9]{1,5} )|failed to (?:solve|build)"
)
_FILE_ALONE = re.compile(rb"[^\s:]{1,250}\.[A-Za-z]{1,6}\r?")


@dataclass
class _Lines:
    """The unfinished line of a stream, and what its lines have said."""

    rest: bytes = b""
    too_long: bool = False
    after_panic: bool = False
    patterns: ProblemPatterns = field(default_factory=ProblemPatterns)


class ProblemLines:
    """Takes the masked output of a step in pieces. ``workspace`` is where the checkout is in its container."""

    def __init__(self, workspace: str, lines_count_max: int = LINES_COUNT_MAX) -> None:
        self._workspace = workspace
        self._lines_count_max = lines_count_max
        self.restart()

    def restart(self) -> None:
        """A further attempt begins: what was found in the one before no longer counts."""
        self._streams: dict[Stream, _Lines] = {}
        self._left = self._lines_count_max
        self._found: dict[Problem, Annotation] = {}

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """What was found: of many, errors before warnings, in the order of the output."""
        errors_first = sorted(self._found.values(), key=lambda each: each.severity != "error")
        kept = set(map(id, errors_first[:ANNOTATIONS_COUNT_MAX]))
        return tuple(each for each in self._found.values() if id(each) in kept)

    def __call__(self, stream: Stream, data: bytes, line: int) -> None:
        """Takes a piece that begins in this line of the log, counted from 1; 0 where that is not known."""
        if stream is Stream.NOTE or self._left <= 0:
            return
        lines = self._streams.setdefault(stream, _Lines())
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            first = b"" if lines.too_long else lines.rest
            skipped = int(lines.too_long)
            text = first + whole
            lines.rest, lines.too_long = b"", False
            if _SIGN.search(text) or lines.after_panic or _FILE_ALONE.search(text):
                for index, each in enumerate(text.split(b"\n")):
                    if index >= skipped:
                        self._line(lines, each, line + index if line else 0)
        lines.rest += rest
        if len(lines.rest) > LINE_BYTES_MAX:
            lines.rest, lines.too_long = b"", True

    def _line(self, lines: _Lines, data: bytes, log_line: int) -> None:
        if len(data) > LINE_BYTES_MAX or self._left <= 0:
            return
        if not (lines.after_panic or _SIGN.search(data) or _FILE_ALONE.fullmatch(data)):
            return
        self._left -= 1
        text = without_escapes(last_state(data).decode(errors="replace")).rstrip()
        lines.after_panic = "panicked at " in text
        if text.startswith(SHOWN_COMMAND):
            return  # what a shell is about to run is not what a tool says
        if problem := lines.patterns.match(text):
            self._add(problem, log_line)

    def _add(self, problem: Problem, log_line: int) -> None:
        found = self._found
        known = problem.line == 0 and any(each.file == problem.file for each in found)
        if problem in found or known or (len(found) >= 2 * ANNOTATIONS_COUNT_MAX and problem.severity == "warning"):
            return
        if sum(each.severity == "error" for each in found) >= ANNOTATIONS_COUNT_MAX:
            self._left = 0
            return
        message = one_line(problem.message, MESSAGE_CHARACTERS_MAX)
        file = one_line(in_checkout(problem.file.strip(), self._workspace), MESSAGE_CHARACTERS_MAX)
        found[problem] = Annotation(problem.severity, file, problem.line, problem.column, message, log_line)
