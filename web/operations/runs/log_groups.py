"""The groups of a log: what each command wrote, and what markers of GitHub, GitLab and Buildkite put together."""

import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from runner.logs.ansi import without_escapes
from web.operations.runs.command_traces import CommandTraces
from web.operations.runs.log_parts import StepLogAddress
from workers.logs import LogReader, LogStore
from workers.logs.interface import CHUNKS_MAX, Chunk

GROUPS_MAX = 5_000
BYTES_MAX = 64 * 1024**2
SEARCH_S_MAX = 2.0
TITLE_CHARS_MAX = 200
DEPTH_MAX = 10
_LINE_BYTES_MAX = 1_000
_PIECE_BYTES = 256 * 1024
# An escape sequence may stand before a marker. A difference of files begins with "--- a/" too.
_MARKER = re.compile(
    rb"(?:\x1b\[[0-9;]{0,20}[mK])*(?:(?P<command>\+ )|(?P<github>(?:::group::|##\[group\]))"
    rb"|(?P<end>::endgroup::|##\[endgroup\]|section_end:)"
    rb"|section_start:[0-9]{1,20}:(?P<section>[^\r\n\[]{1,200})[^\r\n]{0,200}"
    rb"|(?P<buildkite>(?:---|\+\+\+|~~~) )(?!a/|b/|/dev/null))"
)
_FIRST_BYTES = frozenset(b"+:#s-~\x1b")


@dataclass
class Group:
    """Lines from ``line``, which names it, to ``last``. ``kind``: command, github, gitlab or buildkite.

    ``began`` and ``ended`` are the offsets of its first line and of the line that ended it, None where the log did.
    ``took_ms`` is the time between these, None where it is not known.
    """

    kind: str
    line: int
    last: int
    title: str
    began: int
    ended: int | None = None
    took_ms: int | None = None


@dataclass
class Groups:
    """The groups by their first lines. ``more``: of a longer log, only the first ``searched_lines`` were looked at."""

    groups: list[Group] = field(default_factory=list)
    more: bool = False
    searched_lines: int = 0


def groups_of(
    logs: LogStore,
    address: StepLogAddress,
    commands: Sequence[str],
    finished_ms: int | None = None,
    clock_s: Callable[[], float] = time.monotonic,
    bytes_max: int = BYTES_MAX,
) -> Groups:
    """The groups of the log of a step with these commands, looked for in bounded time.

    ``finished_ms`` is when the step ended, if it did: its last command ended then, too.
    """
    deadline_s, search = clock_s() + SEARCH_S_MAX, _Search(CommandTraces(commands))
    with logs.open(*address) as reader:
        end = min(reader.size_bytes, bytes_max)
        for offset in range(0, end, _PIECE_BYTES):
            search.take(reader.read(offset, min(_PIECE_BYTES, end - offset)))
            if clock_s() > deadline_s or len(search.groups) >= GROUPS_MAX:
                break
        search.finish(reader)
        groups, lines = search.groups[:GROUPS_MAX], reader.lines
        _measure(groups, _times(reader, _offsets(groups)), finished_ms if search.line == lines else None)
    return Groups(groups, search.line < lines, search.line)


def _offsets(groups: Iterable[Group]) -> list[int]:
    return sorted({offset for group in groups for offset in (group.began, group.ended) if offset is not None})


def _times(reader: LogReader, offsets: Sequence[int]) -> Mapping[int, int]:
    """When the bytes at these offsets, in their order, came."""
    found, chunks, until = dict[int, int](), list[Chunk](), 0
    for offset in offsets:
        if offset >= until:
            chunks = list(reader.chunks(offset, _PIECE_BYTES))
            until = chunks[-1].offset if len(chunks) == CHUNKS_MAX else offset + _PIECE_BYTES
        if at := bisect_right(chunks, offset, key=lambda chunk: chunk.offset):
            found[offset] = chunks[at - 1].at_ms
    return found


def _measure(groups: Iterable[Group], times: Mapping[int, int], finished_ms: int | None) -> None:
    for group in groups:
        began_ms = times.get(group.began)
        ended_ms = finished_ms if group.ended is None else times.get(group.ended)
        if began_ms is not None and ended_ms is not None:
            group.took_ms = max(0, ended_ms - began_ms)


class _Search:
    """Takes a log in pieces. ``line`` is the last line that was taken whole, ``offset`` where it begins."""

    def __init__(self, commands: CommandTraces) -> None:
        self.groups: list[Group] = []
        self.line = 0
        self.offset = 0
        self._next_offset = 0
        self._open: list[Group] = []
        self._rest = b""
        self._cut_bytes = 0
        self._commands = commands

    def take(self, piece: bytes) -> None:
        *lines, rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._line(line)
        # The rest of a line of any length is only its end: no marker begins there.
        self._rest = rest[:_LINE_BYTES_MAX]
        self._cut_bytes += len(rest) - len(self._rest)

    def finish(self, reader: LogReader) -> None:
        """The end of the log, or of what is looked at, ends all groups."""
        if self._rest and self.line + 1 == reader.lines:
            self._line(self._rest)
        self._end(0, self.line)

    def _line(self, data: bytes) -> None:
        self.line += 1
        self.offset, self._next_offset = self._next_offset, self._next_offset + len(data) + self._cut_bytes + 1
        self._cut_bytes = 0
        if not data or data[0] not in _FIRST_BYTES:
            return
        found = _MARKER.match(data[:_LINE_BYTES_MAX])
        if found is None:
            return
        if found["end"]:
            self._end_inner()
        elif found["command"]:
            # A difference of files, or a shell with `set -x`, writes such lines too.
            if self._commands.has(data[found.end() : _LINE_BYTES_MAX]):
                self._end(0, self.line - 1)
                self._begin("command", data[found.end() :])
        elif found["buildkite"]:
            kept = next((at for at, group in enumerate(self._open) if group.kind != "command"), len(self._open))
            self._end(kept, self.line - 1)
            self._begin("buildkite", data[found.end() :])
        elif found["section"]:
            self._begin("gitlab", data[found.end() :].lstrip(b"\r") or found["section"])
        else:
            self._begin("github", data[found.end() :])

    def _begin(self, kind: str, title: bytes) -> None:
        if len(self._open) >= DEPTH_MAX:
            return
        text = without_escapes(title[:_LINE_BYTES_MAX].decode(errors="replace")).strip()
        group = Group(kind, self.line, self.line, text[:TITLE_CHARS_MAX], self.offset)
        self.groups.append(group)
        self._open.append(group)

    def _end_inner(self) -> None:
        """A marker of an end: it belongs to the group that began last, and not to a command."""
        if self._open and self._open[-1].kind in {"github", "gitlab"}:
            group = self._open.pop()
            group.last, group.ended = self.line, self.offset

    def _end(self, kept: int, last: int) -> None:
        for group in self._open[kept:]:
            group.last = max(group.line, last)
            group.ended = self.offset if last < self.line else None
        del self._open[kept:]
