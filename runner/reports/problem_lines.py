"""Finds problem lines of common tools in the output of a step, once the step has failed."""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from runner.events import Stream
from runner.logs.ansi import last_state, without_escapes
from runner.report_results import Annotation
from runner.reports.places import in_checkout
from runner.reports.problem_patterns import Problem, ProblemPatterns
from runner.reports.words import one_line

FIRST_BYTES_MAX = LAST_BYTES_MAX = 4 * 1024**2
"""Of a longer output its beginning and its end are looked at."""
PIECE_BYTES = 256
"""A piece counts for so many bytes more than it has: a step may write single bytes, and each takes that much memory."""
LINE_BYTES_MAX: Final = 2000
"""A longer line is not looked at."""
LINES_COUNT_MAX = 50_000
"""So many lines that may name a problem are looked at in a step."""
ANNOTATIONS_COUNT_MAX = 50
MESSAGE_CHARACTERS_MAX = 500
SHOWN_COMMAND = "+ "
_SIGN = re.compile(
    rb":[0-9]|\([0-9]+,[0-9]|:\[[0-9]|, line [0-9]|on line [0-9]|rror|arning|Exception|FAILED|panicked|-->"
    rb"|^(?:E   |[A-Z]{1,6}[0-9]{1,5} )|failed to (?:solve|build)"
)
_FILE_ALONE = re.compile(rb"[^\s:]{1,250}\.[A-Za-z]{1,6}\r?")


class _Piece(NamedTuple):
    """A piece of output. ``line`` is the line of the log in which it begins; 0 where that is not known."""

    stream: Stream
    data: bytes
    line: int


@dataclass
class _Lines:
    """The unfinished line of a stream, and what its lines have said. ``skips``: the line that goes on is left out."""

    rest: bytes = b""
    skips: bool = False
    after_panic: bool = False
    patterns: ProblemPatterns = field(default_factory=ProblemPatterns)


class ProblemLines:
    """Takes the masked output of a step in pieces. ``workspace`` is where the checkout is in its container.

    While the step runs, pieces are only kept, because most steps pass: a log of a gigabyte costs nothing more.
    """

    def __init__(self, workspace: str) -> None:
        self._workspace = workspace
        self.restart()

    def restart(self) -> None:
        """A further attempt begins: what the one before has written no longer counts."""
        self._first: list[_Piece] = []
        self._last: deque[_Piece] = deque()
        self._first_bytes = self._last_bytes = 0
        self._has_gap = False

    def __call__(self, stream: Stream, data: bytes, line: int) -> None:
        """Takes a piece that begins in this line of the log, counted from 1; 0 where that is not known."""
        if stream is Stream.NOTE:
            return
        piece = _Piece(stream, data, line)
        size = len(data) + PIECE_BYTES
        if self._first_bytes + size <= FIRST_BYTES_MAX and not self._last:
            self._first.append(piece)
            self._first_bytes += size
            return
        self._last.append(piece)
        self._last_bytes += size
        while self._last_bytes > LAST_BYTES_MAX and len(self._last) > 1:
            self._last_bytes -= len(self._last.popleft().data) + PIECE_BYTES
            self._has_gap = True

    def find(self, lines_count_max: int = LINES_COUNT_MAX) -> tuple[Annotation, ...]:
        """What the output says: of many problems, errors before warnings, in the order of the output."""
        search = _Search(self._workspace, lines_count_max)
        for piece in self._first:
            search.take(piece)
        if self._has_gap:
            search.skip_lines()
        for piece in self._last:
            search.take(piece)
        search.end()
        return search.found()


class _Search:
    """One search of the output."""

    def __init__(self, workspace: str, lines_count_max: int) -> None:
        self._workspace = workspace
        self._left = lines_count_max
        self._streams: dict[Stream, _Lines] = {}
        self._found: dict[Problem, Annotation] = {}
        self._errors = 0

    def found(self) -> tuple[Annotation, ...]:
        """The problems to keep."""
        errors_first = sorted(self._found.values(), key=lambda each: each.severity != "error")
        kept = set(map(id, errors_first[:ANNOTATIONS_COUNT_MAX]))
        return tuple(each for each in self._found.values() if id(each) in kept)

    def skip_lines(self) -> None:
        """A part of the output is missing here: what comes begins within a line."""
        self._streams = {stream: _Lines(skips=True) for stream in Stream}

    def take(self, piece: _Piece) -> None:
        """Looks at the lines that end in this piece."""
        lines = self._streams.setdefault(piece.stream, _Lines())
        *whole, rest = piece.data.split(b"\n")
        for index, each in enumerate(whole):
            if index == 0:
                each, skipped = lines.rest + each, lines.skips  # noqa: PLW2901 - the line began in an earlier piece
                lines.rest, lines.skips = b"", False
                if skipped:
                    continue
            self._line(lines, each, piece.line + index if piece.line else 0)
        lines.rest += rest
        if len(lines.rest) > LINE_BYTES_MAX:
            lines.rest, lines.skips = b"", True

    def end(self) -> None:
        """Looks at lines without an end."""
        for lines in self._streams.values():
            if not lines.skips:
                self._line(lines, lines.rest, 0)

    def _line(self, lines: _Lines, data: bytes, log_line: int) -> None:
        if len(data) > LINE_BYTES_MAX or self._left <= 0:
            return
        if not (lines.after_panic or _SIGN.search(data) or _FILE_ALONE.fullmatch(data)):
            return
        self._left -= 1
        text = without_escapes(last_state(data).decode(errors="replace")).rstrip()
        if text.startswith(SHOWN_COMMAND):
            return  # what a shell is about to run is not what a tool says
        lines.after_panic = "panicked at " in text
        if problem := lines.patterns.match(text):
            self._add(problem, log_line)

    def _add(self, problem: Problem, log_line: int) -> None:
        found, is_error = self._found, problem.severity == "error"
        known = problem.line == 0 and any(each.file == problem.file for each in found)
        if problem in found or known or (len(found) >= 2 * ANNOTATIONS_COUNT_MAX and not is_error):
            return
        self._errors += is_error
        if self._errors > ANNOTATIONS_COUNT_MAX:
            self._left = 0
            return
        message = one_line(problem.message, MESSAGE_CHARACTERS_MAX)
        file = one_line(in_checkout(problem.file.strip(), self._workspace), MESSAGE_CHARACTERS_MAX)
        found[problem] = Annotation(problem.severity, file, problem.line, problem.column, message, log_line)
