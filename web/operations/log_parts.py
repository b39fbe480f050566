"""Parts of stored logs, for the API and the pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from workers.logs import Chunk, LogStore
from workers.logs.interface import CHUNKS_MAX
from workers.store import StepPlace

PART_BYTES_MAX = 4 * 1024**2
LINES_MAX = 20_000
FOUND_MAX = 1_000
_PIECE_BYTES = 256 * 1024

Address = tuple[int, int, int, int]
"""Run, job, number of the step, attempt."""


def address_of(place: StepPlace) -> Address:
    """Where the log of a step's last attempt is."""
    return place.run.id, place.job.id, place.step.number, place.step.attempt


@dataclass(frozen=True)
class Part:
    """A piece of a log. ``offset`` and ``line`` say where it begins; the rest is about the whole."""

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
        return Part(data, offset, reader.line_at(offset), reader.size_bytes, reader.lines, reader.complete)


def part_by_lines(logs: LogStore, address: Address, line: int, count: int) -> Part:
    """At most ``count`` whole lines from ``line`` on, which counts from 1."""
    with logs.open(*address) as reader:
        offset, data = reader.read_lines(line, count, PART_BYTES_MAX)
        return Part(data, offset, line, reader.size_bytes, reader.lines, reader.complete)


def tail(logs: LogStore, address: Address, count: int) -> Part:
    """The last ``count`` lines, or as many as ``PART_BYTES_MAX`` holds; of a line that is longer, its end."""
    with logs.open(*address) as reader:
        offset = reader.line_offset(reader.lines - count + 1)
        data = reader.read(max(offset, reader.size_bytes - PART_BYTES_MAX), PART_BYTES_MAX)
        if len(data) < reader.size_bytes - offset:
            data = data[data.find(b"\n", 0, -1) + 1 :]
        offset = reader.size_bytes - len(data)
        return Part(data, offset, reader.line_at(offset), reader.size_bytes, reader.lines, reader.complete)


def sources(logs: LogStore, address: Address, offset: int, max_bytes: int) -> tuple[int, Sequence[Chunk]]:
    """Where ``max_bytes`` bytes from ``offset`` on came from and when; and the byte up to which the answer goes."""
    with logs.open(*address) as reader:
        chunks = reader.chunks(offset, max_bytes)
        end = min(offset + max_bytes, reader.size_bytes)
        return (chunks[-1].offset if len(chunks) == CHUNKS_MAX else end), chunks


def search(logs: LogStore, address: Address, text: str, piece_bytes: int = _PIECE_BYTES) -> tuple[list[int], bool]:
    """The numbers of the lines that hold ``text``, and whether there may be more; letters a to z match either case."""
    wanted, lines, line, last = text.encode().lower(), list[int](), 1, b""
    with logs.open(*address) as reader:
        for offset in range(0, reader.size_bytes, piece_bytes):
            # What ends a piece may begin a match.
            data, at = last + reader.read(offset, piece_bytes).lower(), 0
            while (found := data.find(wanted, at)) >= 0:
                line += data.count(b"\n", at, found)
                if line not in lines[-1:]:
                    lines.append(line)
                if len(lines) == FOUND_MAX:
                    return lines, True
                # On with the next line; where there is none yet, with the next piece.
                at = data.find(b"\n", found) % (len(data) + 1)
            last = data[max(at, len(data) - len(wanted) + 1) :]
            line += data.count(b"\n", at, len(data) - len(last))
    return lines, False


def whole(logs: LogStore, address: Address) -> Iterator[bytes]:
    """All that is stored, in pieces."""
    with logs.open(*address) as reader:
        offset = 0
        while piece := reader.read(offset, _PIECE_BYTES):
            yield piece
            offset += len(piece)
