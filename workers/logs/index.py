"""Two kinds of records: where the frames of a log are, and where its bytes came from and when.

A frame is some output, compressed: many of them make a segment. There is a source record for each change of stream, and
at most ten for each second where the stream stays the same.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from runner.events import Stream
from workers.logs.interface import Chunk

# Length and compressed length, newlines in it, flags, when its first byte came.
_FRAME = struct.Struct("<IIIIQ")
# Where it begins; the moment and, in its lowest two bits, the stream.
_SOURCE = struct.Struct("<QQ")
_IS_FRAME, _IS_END, _ENDS_LINE = 1, 2, 4
_STREAMS = (Stream.STDOUT, Stream.STDERR, Stream.NOTE)

FRAME_RECORD_BYTES = _FRAME.size
SOURCE_RECORD_BYTES = _SOURCE.size
NO_LIMIT = 2**62
"""For ``unpack_frames`` where it is known that all frames are whole."""


@dataclass(frozen=True, slots=True)
class Frame:
    """``raw_*`` counts the log's own bytes, ``file_*`` those of the blob; ``newlines`` come before this frame."""

    raw_offset: int = 0
    raw_length: int = 0
    file_offset: int = 0
    file_length: int = 0
    newlines: int = 0
    newlines_inside: int = 0
    ends_line: bool = True
    at_ms: int = 0

    @property
    def raw_end(self) -> int:
        """The log's first byte after this frame."""
        return self.raw_offset + self.raw_length

    @property
    def file_end(self) -> int:
        """The blob's first byte after this frame."""
        return self.file_offset + self.file_length

    @property
    def newlines_end(self) -> int:
        """Newlines up to the end of this frame."""
        return self.newlines + self.newlines_inside

    @property
    def lines_end(self) -> int:
        """Lines up to the end of this frame; an unfinished one counts."""
        return self.newlines_end + (not self.ends_line)

    def next(self, raw: bytes, file_length: int, at_ms: int) -> "Frame":
        """The frame that follows this one and holds ``raw``."""
        ends_line = raw.endswith(b"\n")
        newlines = raw.count(b"\n")
        return Frame(self.raw_end, len(raw), self.file_end, file_length, self.newlines_end, newlines, ends_line, at_ms)

    def pack(self) -> bytes:
        """The frame's record."""
        flags = _IS_FRAME | (_ENDS_LINE if self.ends_line else 0)
        return _FRAME.pack(self.raw_length, self.file_length, self.newlines_inside, flags, self.at_ms)


def unpack_frames(records: bytes, last: Frame, file_bytes: int) -> Iterator[Frame | None]:
    """The frames that follow ``last``, and None for the end record. Stops at whatever is not whole (yet)."""
    whole = len(records) - len(records) % _FRAME.size
    for raw_length, file_length, newlines, flags, at_ms in _FRAME.iter_unpack(records[:whole]):
        if flags == _IS_END:
            yield None
            return
        if not flags & _IS_FRAME or last.file_end + file_length > file_bytes:
            return
        ends_line = bool(flags & _ENDS_LINE)
        last = Frame(
            last.raw_end, raw_length, last.file_end, file_length, last.newlines_end, newlines, ends_line, at_ms
        )
        yield last


def pack_source(chunk: Chunk) -> bytes:
    """A chunk's record."""
    return _SOURCE.pack(chunk.offset, chunk.at_ms << 2 | _STREAMS.index(chunk.stream))


def unpack_sources(records: bytes) -> list[Chunk]:
    """The chunks of whole records."""
    return [Chunk(offset, moment >> 2, _STREAMS[moment & 3]) for offset, moment in _SOURCE.iter_unpack(records)]
