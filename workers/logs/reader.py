"""Reads one log from the blob store, also while it is being written."""

import bisect
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self, TypeVar

from workers.blobs import BlobMissingError, BlobStore
from workers.logs.cache import ByteCache
from workers.logs.index import Frame
from workers.logs.interface import CHUNKS_MAX, READ_BYTES_MAX, Chunk, LogDamagedError
from workers.logs.segments import Segment, decompress

_AHEAD_BYTES = 1024**2
"""So much of a blob is read at once where more than one frame is wanted."""
T = TypeVar("T")


class LogState(NamedTuple):
    """What a log's rows say: the segments that are new since ``after``, or all."""

    complete: bool
    cut_off: bool
    segments: Sequence[Segment]


class SegmentReader:
    """See ``LogReader``. ``load`` returns what came after a segment's number; with -1, all."""

    def __init__(self, blobs: BlobStore, cache: ByteCache, load: Callable[[int], LogState]) -> None:
        self._blobs = blobs
        self._cache = cache
        self._load = load
        self._segments: list[Segment] = []
        self._frames: list[Frame] = []
        self._owners: list[Segment] = []
        self._last_number = -1
        self._complete = self._cut_off = False
        self._read_end = -1
        self.refresh()

    @property
    def size_bytes(self) -> int:
        """See ``LogReader``."""
        return self._segments[-1].raw_end if self._segments else 0

    @property
    def lines(self) -> int:
        """See ``LogReader``."""
        return self._segments[-1].lines_end if self._segments else 0

    @property
    def complete(self) -> bool:
        """See ``LogReader``."""
        return self._complete

    @property
    def cut_off(self) -> bool:
        """See ``LogReader``."""
        return self._cut_off

    def refresh(self) -> None:
        """See ``LogReader``."""
        state = self._load(self._last_number)
        for segment in state.segments:
            self._take(segment)
        self._complete, self._cut_off = state.complete, state.cut_off

    def read(self, offset: int, max_bytes: int = READ_BYTES_MAX) -> bytes:
        """See ``LogReader``."""
        return self._again_if_merged(lambda: self._read(offset, max_bytes))

    def read_lines(self, first_line: int, count: int, max_bytes: int = READ_BYTES_MAX) -> tuple[int, bytes]:
        """See ``LogReader``."""
        start = self.line_offset(first_line)
        return start, self.read(start, min(max_bytes, self.line_offset(first_line + count) - start))

    def line_offset(self, line: int) -> int:
        """See ``LogReader``."""
        return self._again_if_merged(lambda: self._line_offset(line)) if line > 1 else 0

    def line_at(self, offset: int) -> int:
        """See ``LogReader``."""
        return self._again_if_merged(lambda: self._line_at(offset))

    def chunks(self, offset: int, length: int) -> Sequence[Chunk]:
        """See ``LogReader``."""
        return self._again_if_merged(lambda: self._chunks(offset, length))

    def close(self) -> None:
        """See ``LogReader``."""

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing is open."""

    def _take(self, segment: Segment) -> None:
        """Adds a segment, in place of those whose output it has."""
        self._last_number = max(self._last_number, segment.number)
        if segment.raw_offset >= self.size_bytes:
            self._segments.append(segment)
            self._list_frames([segment])
            return
        before = [each for each in self._segments if each.raw_end <= segment.raw_offset]
        after = [each for each in self._segments if each.raw_offset >= segment.raw_end]
        self._segments = [*before, segment, *after]
        self._frames, self._owners = [], []
        self._list_frames(self._segments)

    def _list_frames(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            frames = segment.unpacked()
            self._frames += frames
            self._owners += [segment] * len(frames)

    def _again_if_merged(self, read: Callable[[], T]) -> T:
        """Reads once more where a blob is gone: its output is in a larger one then, unless it is lost."""
        try:
            return read()
        except BlobMissingError:
            self._segments, self._frames, self._owners, self._last_number = [], [], [], -1
            self.refresh()
        try:
            return read()
        except BlobMissingError as error:
            raise LogDamagedError(f"A part of this log is lost: {error}") from None

    def _read(self, offset: int, max_bytes: int) -> bytes:
        parts = []
        end = min(offset + max_bytes, self.size_bytes)
        ahead = offset == self._read_end
        at = bisect.bisect_right(self._frames, offset, key=lambda frame: frame.raw_end)
        while offset < end:
            part = self._raw(at, end, ahead=ahead)[offset - self._frames[at].raw_offset :][: end - offset]
            parts.append(part)
            offset, at = offset + len(part), at + 1
        self._read_end = offset
        return b"".join(parts)

    def _line_offset(self, line: int) -> int:
        at = bisect.bisect_left(self._frames, line - 1, key=lambda frame: frame.newlines_end)
        if at == len(self._frames):
            return self.size_bytes
        frame = self._frames[at]
        return frame.raw_offset + _after_newline(self._raw(at), line - 1 - frame.newlines)

    def _line_at(self, offset: int) -> int:
        at = bisect.bisect_right(self._frames, offset, key=lambda frame: frame.raw_end)
        if at == len(self._frames):
            return (self._segments[-1].newlines_end if self._segments else 0) + 1
        frame = self._frames[at]
        return frame.newlines + self._raw(at).count(b"\n", 0, offset - frame.raw_offset) + 1

    def _chunks(self, offset: int, length: int) -> Sequence[Chunk]:
        end = min(offset + length, self.size_bytes)
        found: list[Chunk] = []
        at = bisect.bisect_right(self._segments, offset, key=lambda segment: segment.raw_end)
        while at < len(self._segments) and self._segments[at].raw_offset < end and len(found) < CHUNKS_MAX:
            chunks = self._sources(at)
            start = max(0, bisect.bisect_right(chunks, offset, key=lambda chunk: chunk.offset) - 1)
            found += chunks[start : bisect.bisect_left(chunks, end, key=lambda chunk: chunk.offset)]
            at += 1
        return found[:CHUNKS_MAX]

    def _raw(self, at: int, wanted_end: int = 0, *, ahead: bool = False) -> bytes:
        """The output of frame number ``at``."""
        frame, owner = self._frames[at], self._owners[at]

        def load() -> bytes:
            raw = decompress(self._packed(at, wanted_end, ahead=ahead), frame.raw_length)
            if raw is None:
                raise LogDamagedError(
                    f"The stored log {owner.blob} is damaged from byte {frame.file_offset} on: "
                    f"output bytes {frame.raw_offset} to {frame.raw_end} cannot be read."
                )
            return raw

        return self._cache.get((owner.blob, frame.file_offset), load)

    def _packed(self, at: int, wanted_end: int, *, ahead: bool) -> bytes:
        """A frame as it is stored. What is wanted next from the same blob is read with it."""
        frame, owner = self._frames[at], self._owners[at]
        start = frame.file_offset
        key = (owner.blob, "packed")
        window = self._cache.find(key)
        if window is not None:
            first = int.from_bytes(window[:8], "big")
            if first <= start and frame.file_end <= first + len(window) - 8:
                return window[8 + start - first : 8 + frame.file_end - first]
        end = frame.file_end
        while at < len(self._frames) and self._owners[at] is owner and self._wants(at, wanted_end, start, ahead=ahead):
            end, at = self._frames[at].file_end, at + 1
        data = self._blobs.read(owner.blob, start, end - start)
        if end > frame.file_end:
            self._cache.put(key, start.to_bytes(8, "big") + data)
        return data[: frame.file_length]

    def _wants(self, at: int, wanted_end: int, start: int, *, ahead: bool) -> bool:
        frame = self._frames[at]
        return (ahead or frame.raw_offset < wanted_end) and frame.file_end - start <= _AHEAD_BYTES

    def _sources(self, at: int) -> list[Chunk]:
        segment = self._segments[at]

        def load() -> bytes:
            if segment.sources_blob:
                return b"".join(self._blobs.get(segment.sources_blob))
            return self._blobs.read(segment.blob, segment.frames_bytes, segment.blob_bytes - segment.frames_bytes)

        return segment.sources(self._cache.get((segment.blob, "sources"), load))


def _after_newline(data: bytes, number: int) -> int:
    """The position after the ``number``-th newline, which must be there. Bisection is faster than a search."""
    low, high = 0, len(data)
    while high - low > 1:
        middle = (low + high) // 2
        found = data.count(b"\n", low, middle)
        if found >= number:
            high = middle
        else:
            low, number = middle, number - found
    return high
