"""A segment of a log: the frames of some output and where it came from, as one blob and one row."""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import zstandard

from runner.events import Stream
from workers.db.models import LogSegment
from workers.logs import index
from workers.logs.index import Frame
from workers.logs.interface import Chunk, LogDamagedError
from workers.logs.pace import FRAME_BYTES_MAX

_SOURCE_EVERY_MS = 100
_SOURCES_MAX = 65_536
_ZSTD_LEVEL = 1  # 762 MB/s at a ratio of 6; the next levels cost much and gain little
# Programs such as zstdcat pass over a frame that begins so: a blob shows as the output and nothing else.
_SKIPPED = struct.Struct("<II")
_SKIPPED_MAGIC = 0x184D2A50


@dataclass(frozen=True)
class Segment:
    """Where some output of a log is: see ``workers.db.models.logs``.

    ``sources_blob``: its sources are in a file of their own.
    """

    number: int
    level: int
    raw_offset: int
    raw_bytes: int
    newlines_before: int
    newlines: int
    ends_line: bool
    at_ms: int
    blob: str
    blob_bytes: int
    frames_bytes: int
    frames: bytes
    sources_blob: str = ""

    @property
    def raw_end(self) -> int:
        """The log's first byte after this segment."""
        return self.raw_offset + self.raw_bytes

    @property
    def newlines_end(self) -> int:
        """Newlines of the log up to the end of this segment."""
        return self.newlines_before + self.newlines

    @property
    def lines_end(self) -> int:
        """Lines of the log up to the end of this segment; an unfinished one counts."""
        return self.newlines_end + (not self.ends_line)

    def unpacked(self) -> list[Frame]:
        """The frames, with their places in the log and in the blob."""
        before = Frame(raw_offset=self.raw_offset, newlines=self.newlines_before)
        return [each for each in index.unpack_frames(self.frames, before, self.frames_bytes) if each]

    def sources(self, tail: bytes) -> list[Chunk]:
        """Where the output came from; ``tail`` is the blob after the frames, or the file of the sources."""
        if not self.sources_blob:
            tail = unpack(tail[_SKIPPED.size :], self.blob)
        return index.unpack_sources(tail[: len(tail) - len(tail) % index.SOURCE_RECORD_BYTES])

    def values(self, log_key: str) -> dict[str, Any]:
        """The values of its row."""
        return {name: value for name, value in vars(self).items() if name != "sources_blob"} | {"log_key": log_key}


def segment_of(row: LogSegment) -> Segment:
    """The segment of a row."""
    names = [name for name in Segment.__dataclass_fields__ if name != "sources_blob"]
    return Segment(**{name: getattr(row, name) for name in names})


def decompress(data: bytes, raw_length: int) -> bytes | None:
    """A frame's bytes, or None if it is damaged."""
    try:
        raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=raw_length)
    except zstandard.ZstdError:
        return None
    return raw if len(raw) == raw_length else None


def unpack(data: bytes, blob: str) -> bytes:
    """What was compressed with its length. Raises LogDamagedError naming the blob."""
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError:
        raise LogDamagedError(f"The stored log {blob} is damaged: its end cannot be read.") from None


class SegmentBuilder:
    """Collects output until it is a segment. Begins where ``raw_offset`` and ``newlines`` say that the log ends."""

    def __init__(self, raw_offset: int, newlines: int) -> None:
        self._start, self._newlines = raw_offset, newlines
        self._last = Frame(raw_offset=raw_offset, newlines=newlines)
        self._frames = bytearray()
        self._records = bytearray()
        self._buffer = bytearray()
        self._buffer_ms = 0
        self._buffer_newlines = 0
        self._sources = bytearray()
        self._chunk: Chunk | None = None
        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        self.first_ms = 0

    @property
    def raw_end(self) -> int:
        """The log's first byte after all that was added."""
        return self._last.raw_end + len(self._buffer)

    @property
    def raw_bytes(self) -> int:
        """How much output it has."""
        return self.raw_end - self._start

    @property
    def newlines_end(self) -> int:
        """Newlines of the log up to the end of what was added."""
        return self._last.newlines_end + self._buffer_newlines

    @property
    def ends_line(self) -> bool:
        """False after an unfinished line. Call it only where something was added."""
        return self._buffer.endswith(b"\n") if self._buffer else self._last.ends_line

    @property
    def is_full(self) -> bool:
        """True when there are as many sources as a segment may have."""
        return len(self._sources) >= _SOURCES_MAX * index.SOURCE_RECORD_BYTES

    def add(self, data: bytes, stream: Stream, at_ms: int) -> None:
        """Adds output that came at ``at_ms``."""
        if not self.raw_bytes:
            self.first_ms = at_ms
        if not self._buffer:
            self._buffer_ms = at_ms
        self._note_source(stream, at_ms)
        self._buffer += data
        self._buffer_newlines += data.count(b"\n")
        while len(self._buffer) >= FRAME_BYTES_MAX:
            self._add_frame(FRAME_BYTES_MAX)
            self._buffer_ms = at_ms

    def build(self, folder: str, level: int = 0) -> tuple[Segment, bytes]:
        """The segment, and its blob. It has no number yet: it gets one when it is stored."""
        if self._buffer:
            self._add_frame(len(self._buffer))
        sources = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(bytes(self._sources))
        blob = bytes(self._frames) + _SKIPPED.pack(_SKIPPED_MAGIC, len(sources)) + sources
        # The checksum in the name: a writer that continues the log after a crash may have other bytes for this place.
        name = f"{folder}/{self._start}-{hashlib.sha256(blob).hexdigest()[:16]}.zst"
        segment = Segment(
            number=-1,
            level=level,
            raw_offset=self._start,
            raw_bytes=self.raw_bytes,
            newlines_before=self._newlines,
            newlines=self._last.newlines_end - self._newlines,
            ends_line=self._last.ends_line,
            at_ms=self.first_ms,
            blob=name,
            blob_bytes=len(blob),
            frames_bytes=len(self._frames),
            frames=bytes(self._records),
        )
        return segment, blob

    def _note_source(self, stream: Stream, at_ms: int) -> None:
        before = self._chunk
        if before is None or before.stream is not stream or at_ms - before.at_ms >= _SOURCE_EVERY_MS:
            self._chunk = Chunk(self.raw_end, at_ms, stream)
            self._sources += index.pack_source(self._chunk)

    def _add_frame(self, length: int) -> None:
        raw = bytes(self._buffer[:length])
        packed = self._compressor.compress(raw)
        # Behind nothing, a frame begins at the place of the segment, with no byte before it in the blob.
        self._last = self._last.next(raw, len(packed), self._buffer_ms)
        self._frames += packed
        self._records += self._last.pack()
        del self._buffer[:length]
        self._buffer_newlines -= self._last.newlines_inside


def merged(parts: Iterable[tuple[Segment, bytes]], folder: str, level: int) -> tuple[Segment, bytes]:
    """One segment with the output of several that follow one another, given with their blobs."""
    builder: SegmentBuilder | None = None
    for segment, blob in parts:
        builder = builder or SegmentBuilder(segment.raw_offset, segment.newlines_before)
        raw = b"".join(
            unpack(blob[each.file_offset : each.file_end], segment.blob) for each in segment.unpacked()
        )  # fmt: skip
        chunks = segment.sources(blob[segment.frames_bytes :])
        ends = [*(each.offset for each in chunks[1:]), segment.raw_end]
        for chunk, end in zip(chunks, ends, strict=True):
            builder.add(raw[chunk.offset - segment.raw_offset : end - segment.raw_offset], chunk.stream, chunk.at_ms)
    if builder is None:
        raise ValueError("There is nothing to merge.")
    return builder.build(folder, level)
