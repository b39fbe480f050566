"""Searches a stored log for a text or a regular expression, in bounded time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pipelines.matching.regex import BadRegexError, compiled
from runner.logs.ansi import without_escapes
from web.operations.errors import InvalidInputError
from web.operations.runs.log_parts import StepLogAddress
from workers.logs import LogReader, LogStore

FOUND_MAX = 20_000
SEARCH_S_MAX = 2.0
REGEX_LINE_BYTES_MAX = 2_000
"""Of a longer line, a regular expression sees only the beginning."""

PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Wanted:
    """What is searched for, from line ``from_line`` on."""

    text: str
    regex: bool = False
    case: bool = False
    from_line: int = 1


@dataclass
class Found:
    """The numbers of the lines; ``more``: the search ended before the log, after line ``searched_lines``."""

    lines: list[int] = field(default_factory=list)
    more: bool = False
    searched_lines: int = 0


def search(
    logs: LogStore,
    address: StepLogAddress,
    wanted: Wanted,
    clock_s: Callable[[], float] = time.monotonic,
    piece_bytes: int = PIECE_BYTES,
) -> Found:
    """The lines that match. Ends after ``FOUND_MAX`` of them, and after ``SEARCH_S_MAX``, but not before one line.

    Without ``case``, letters a to z match in either case. Raises InvalidInputError for a regular expression that
    cannot be used.
    """
    matching = _regex_lines(wanted) if wanted.regex else _text_lines(wanted)
    deadline_s, line, found = clock_s() + SEARCH_S_MAX, wanted.from_line, Found()
    with logs.open(*address) as reader:
        for piece in _pieces(reader, wanted, piece_bytes):
            for index, matches in matching(piece):
                found.searched_lines = line + index
                if matches and line + index not in found.lines[-1:]:
                    found.lines.append(line + index)
                if len(found.lines) == FOUND_MAX or clock_s() > deadline_s:
                    found.more = found.searched_lines < reader.lines
                    return found
            line += piece.data.count(b"\n")
            found.searched_lines = line - 1
            if clock_s() > deadline_s and line > wanted.from_line:
                found.more = found.searched_lines < reader.lines
                return found
        found.searched_lines = reader.lines
    return found


class _Piece(NamedTuple):
    """Some lines, or a part of a line that is too long. ``begins`` is False where its first line began before."""

    data: bytes
    begins: bool


def _pieces(reader: LogReader, wanted: Wanted, piece_bytes: int) -> Iterator[_Piece]:
    rest, begins, overlap = b"", True, len(wanted.text.encode()) - 1
    long_bytes = max(piece_bytes, REGEX_LINE_BYTES_MAX) if wanted.regex else piece_bytes
    for offset in range(reader.line_offset(wanted.from_line), reader.size_bytes, piece_bytes):
        data = rest + reader.read(offset, piece_bytes)
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            yield _Piece(data[:end], begins)
            begins = True
        if len(rest) > long_bytes:
            # A match may begin in one part of a long line and end in the next.
            yield _Piece(rest, begins)
            rest, begins = rest[max(0, len(rest) - overlap) :], False
    if rest:
        yield _Piece(rest, begins)


def _text_lines(wanted: Wanted) -> Callable[[_Piece], Iterator[tuple[int, bool]]]:
    text = wanted.text.encode() if wanted.case else wanted.text.encode().lower()

    def matching(piece: _Piece) -> Iterator[tuple[int, bool]]:
        data = piece.data if wanted.case else piece.data.lower()
        line, at = 0, 0
        while (found := data.find(text, at)) >= 0:
            line += data.count(b"\n", at, found)
            yield line, True
            at = data.find(b"\n", found) + 1
            if not at:
                return
            line += 1

    return matching


def _regex_lines(wanted: Wanted) -> Callable[[_Piece], Iterator[tuple[int, bool]]]:
    try:
        matches = compiled(wanted.text, ignore_case=not wanted.case)
    except BadRegexError as error:
        raise InvalidInputError(_sentence(error)) from error

    def matching(piece: _Piece) -> Iterator[tuple[int, bool]]:
        for index, line in enumerate(piece.data.removesuffix(b"\n").split(b"\n")):
            if index or piece.begins:
                try:
                    yield index, matches(_shown(line))
                except BadRegexError as error:
                    raise InvalidInputError(_sentence(error)) from error

    return matching


def _sentence(error: BadRegexError) -> str:
    return f"{str(error)[:1].upper()}{str(error)[1:]}. Change it, or search for plain text."


def _shown(line: bytes) -> str:
    """The beginning of a line as the page shows it: without escape sequences."""
    text = line[:REGEX_LINE_BYTES_MAX].decode(errors="replace").rstrip("\r")
    return without_escapes(text) if "\x1b" in text else text
