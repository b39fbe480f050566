"""Which lines of a log came from a stream, wholly or in part, as ranges."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.events import Stream
from web.operations.runs.log_parts import StepLogAddress
from web.operations.runs.log_streams import ranges
from workers.logs import LogStore

RANGES_MAX = 5_000
LOOK_S_MAX = 2.0
_PIECE_BYTES = 1024**2


@dataclass
class StreamLines:
    """Ranges of lines, first and last, in their order. ``more``: only the first ``searched_lines`` were looked at."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    more: bool = False
    searched_lines: int = 0


def lines_from(
    logs: LogStore, address: StepLogAddress, stream: Stream, clock_s: Callable[[], float] = time.monotonic
) -> StreamLines:
    """The lines that have output of the stream, looked for in bounded time. Neighbours are one range."""
    deadline_s, found = clock_s() + LOOK_S_MAX, StreamLines()
    with logs.open(*address) as reader:
        offset, newlines = 0, 0
        while offset < reader.size_bytes and len(found.ranges) < RANGES_MAX and clock_s() <= deadline_s:
            data = reader.read(offset, _PIECE_BYTES)
            if not data:
                break
            at = counted = 0
            for first, last in ranges(reader, stream, offset, offset + len(data)):
                counted += data.count(b"\n", at, first - offset)
                begin = newlines + counted + 1
                counted += data.count(b"\n", first - offset, last - offset)
                at = last - offset
                end = newlines + counted + (not data.endswith(b"\n", 0, at))
                _add(found.ranges, begin, end)
            newlines += counted + data.count(b"\n", at)
            offset += len(data)
        found.searched_lines = newlines if offset < reader.size_bytes else reader.lines
        return _cut(found, reader.lines)


def _add(ranges: list[tuple[int, int]], first: int, last: int) -> None:
    if ranges and first <= ranges[-1][1] + 1:
        ranges[-1] = (ranges[-1][0], last)
    else:
        ranges.append((first, last))


def _cut(found: StreamLines, lines: int) -> StreamLines:
    """Not more than so many ranges; what was looked at ends with the last one then."""
    if len(found.ranges) > RANGES_MAX:
        found.searched_lines = found.ranges[RANGES_MAX][0] - 1
        del found.ranges[RANGES_MAX:]
    found.more = found.searched_lines < lines
    return found
