"""Parts of stored logs, for the API and the pages."""

from collections.abc import Iterator
from dataclasses import dataclass

from starlette.responses import Response

from workers.logs import LogStore

PART_BYTES_MAX = 4 * 1024**2
LINES_MAX = 20_000
_PIECE_BYTES = 256 * 1024

Address = tuple[int, int, int, int]
"""Run, job, number of the step, attempt."""


@dataclass(frozen=True)
class Part:
    """A piece of a log. ``offset`` and ``line`` (0: not known) say where it begins; the rest is about the whole."""

    data: bytes
    offset: int
    line: int
    size_bytes: int
    lines: int
    complete: bool

    @property
    def end(self) -> int:
        """The offset of the byte after this part."""
        return self.offset + len(self.data)

    def response(self) -> Response:
        """The part as an answer of the API."""
        headers = {
            "x-log-offset": str(self.offset),
            "x-log-line": str(self.line),
            "x-log-size": str(self.size_bytes),
            "x-log-lines": str(self.lines),
            "x-log-complete": "true" if self.complete else "false",
        }
        return Response(self.data, headers=headers, media_type="text/plain; charset=utf-8")


def part_by_bytes(logs: LogStore, address: Address, offset: int, max_bytes: int) -> Part:
    """At most ``max_bytes`` bytes from ``offset`` on."""
    with logs.open(*address) as reader:
        data = reader.read(offset, max_bytes)
        return Part(data, offset, 0, reader.size_bytes, reader.lines, reader.complete)


def part_by_lines(logs: LogStore, address: Address, line: int, count: int) -> Part:
    """At most ``count`` whole lines from ``line`` on, which counts from 1."""
    with logs.open(*address) as reader:
        offset, data = reader.read_lines(line, count, PART_BYTES_MAX)
        return Part(data, offset, line, reader.size_bytes, reader.lines, reader.complete)


def tail(logs: LogStore, address: Address, count: int) -> Part:
    """The last ``count`` lines."""
    with logs.open(*address) as reader:
        line = max(1, reader.lines - count + 1)
        offset, data = reader.read_lines(line, count, PART_BYTES_MAX)
        return Part(data, offset, line, reader.size_bytes, reader.lines, reader.complete)


def whole(logs: LogStore, address: Address) -> Iterator[bytes]:
    """All that is stored, in pieces."""
    with logs.open(*address) as reader:
        offset = 0
        while piece := reader.read(offset, _PIECE_BYTES):
            yield piece
            offset += len(piece)
