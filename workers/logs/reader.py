"""Reads one log on disk, also while it is being written."""

import bisect
import os
from collections.abc import Sequence
from typing import Self

from workers.logs import index
from workers.logs.files import LogFiles, decompress, read_at
from workers.logs.index import Frame
from workers.logs.interface import CHUNKS_MAX, READ_BYTES_MAX, Chunk, LogDamagedError


class DiskReader:
    """See ``LogReader``."""

    def __init__(self, files: LogFiles) -> None:
        self._files = files
        self._opened: tuple[int, int, int] | None = None
        self._frames: list[Frame] = []
        self._complete = False
        self._unpacked: tuple[int, bytes] = (-1, b"")
        self.refresh()

    @property
    def size_bytes(self) -> int:
        """See ``LogReader``."""
        return self._last.raw_end

    @property
    def lines(self) -> int:
        """See ``LogReader``."""
        return self._last.lines_end

    @property
    def complete(self) -> bool:
        """See ``LogReader``."""
        return self._complete

    @property
    def _last(self) -> Frame:
        return self._frames[-1] if self._frames else Frame()

    def refresh(self) -> None:
        """See ``LogReader``."""
        opened = self._open()
        if opened is None:
            return
        data, index_file, _source = opened
        start = len(self._frames) * index.FRAME_RECORD_BYTES
        records = read_at(index_file, start, max(0, os.fstat(index_file).st_size - start))
        # Read the file's size after the index: a frame is written before its record.
        for frame in index.unpack_frames(records, self._last, os.fstat(data).st_size):
            if frame is None:
                self._complete = True
            else:
                self._frames.append(frame)

    def read(self, offset: int, max_bytes: int = READ_BYTES_MAX) -> bytes:
        """See ``LogReader``."""
        parts = []
        end = min(offset + max_bytes, self.size_bytes)
        at = bisect.bisect_right(self._frames, offset, key=lambda frame: frame.raw_end)
        while offset < end:
            frame = self._frames[at]
            part = self._raw(at)[offset - frame.raw_offset : end - frame.raw_offset]
            parts.append(part)
            offset, at = offset + len(part), at + 1
        return b"".join(parts)

    def read_lines(self, first_line: int, count: int, max_bytes: int = READ_BYTES_MAX) -> tuple[int, bytes]:
        """See ``LogReader``."""
        start = self.line_offset(first_line)
        return start, self.read(start, min(max_bytes, self.line_offset(first_line + count) - start))

    def line_offset(self, line: int) -> int:
        """See ``LogReader``."""
        newlines = line - 1
        if newlines <= 0:
            return 0
        at = bisect.bisect_left(self._frames, newlines, key=lambda frame: frame.newlines_end)
        if at == len(self._frames):
            return self.size_bytes
        frame = self._frames[at]
        return frame.raw_offset + _after_newline(self._raw(at), newlines - frame.newlines)

    def line_at(self, offset: int) -> int:
        """See ``LogReader``."""
        at = bisect.bisect_right(self._frames, offset, key=lambda frame: frame.raw_end)
        if at == len(self._frames):
            return self._last.newlines_end + 1
        frame = self._frames[at]
        return frame.newlines + self._raw(at).count(b"\n", 0, offset - frame.raw_offset) + 1

    def chunks(self, offset: int, length: int) -> Sequence[Chunk]:
        """See ``LogReader``."""
        opened = self._open()
        end = min(offset + length, self.size_bytes)
        if opened is None or offset >= end:
            return []
        sources = _Sources(opened[2])
        start = max(0, bisect.bisect_right(sources, offset, key=lambda chunk: chunk.offset) - 1)
        stop = bisect.bisect_left(sources, end, key=lambda chunk: chunk.offset)
        return sources.part(start, min(stop, start + CHUNKS_MAX))

    def close(self) -> None:
        """See ``LogReader``."""
        for descriptor in self._opened or ():
            os.close(descriptor)
        self._opened = None

    def __enter__(self) -> Self:
        """The reader itself, closed at the end of the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Closes."""
        self.close()

    def _open(self) -> tuple[int, int, int] | None:
        if self._opened is None:
            opened: list[int] = []
            try:
                opened.extend(os.open(path, os.O_RDONLY) for path in self._files)
            except FileNotFoundError:
                for descriptor in opened:
                    os.close(descriptor)
                return None
            self._opened = (opened[0], opened[1], opened[2])
        return self._opened

    def _raw(self, at: int) -> bytes:
        if self._unpacked[0] != at:
            opened, frame = self._open(), self._frames[at]
            packed = b"" if opened is None else read_at(opened[0], frame.file_offset, frame.file_length)
            raw = decompress(packed, frame.raw_length)
            if raw is None:
                raise LogDamagedError(
                    f"The stored log {self._files.frames} is damaged from byte {frame.file_offset} on: "
                    f"output bytes {frame.raw_offset} to {frame.raw_end} cannot be read."
                )
            self._unpacked = (at, raw)
        return self._unpacked[1]


class _Sources(Sequence[Chunk]):
    """The records of the sources file, read on access: there may be millions."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._count = os.fstat(descriptor).st_size // index.SOURCE_RECORD_BYTES

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Chunk:  # type: ignore[override]  # slices are not needed
        return self.part(number, number + 1)[0]

    def part(self, start: int, stop: int) -> list[Chunk]:
        """The records from ``start`` to before ``stop``, read at once."""
        size = index.SOURCE_RECORD_BYTES
        return index.unpack_sources(read_at(self._descriptor, start * size, (stop - start) * size))


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
