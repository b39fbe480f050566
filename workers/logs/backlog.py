"""Segments that wait for the blob store: in memory, and in a file where the store is away for longer."""

import os
from collections import deque
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from workers.logs.segments import Segment


class _Waiting(NamedTuple):
    """A segment with its blob, or with the blob's place in the file."""

    segment: Segment
    blob: bytes
    at: int


class Backlog:
    """First in, first out. The file has no name, so that nothing is left of it when the process dies.

    Not for several threads at once.
    """

    def __init__(self, folder: Path, memory_bytes_max: int) -> None:
        self._folder = folder
        self._memory_bytes_max = memory_bytes_max
        self._memory_bytes = 0
        self._waiting: deque[_Waiting] = deque()
        self._file: IO[bytes] | None = None
        self._file_end = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """True while there is as much in memory as there may be."""
        return self._memory_bytes >= self._memory_bytes_max or self._file_end > 0

    def add(self, segment: Segment, blob: bytes) -> None:
        """Adds one at the end. Raises OSError where it must go to the disk, which is full; then it was not added."""
        if self._memory_bytes + len(blob) <= self._memory_bytes_max or not self._waiting:
            self._memory_bytes += len(blob)
            self._waiting.append(_Waiting(segment, blob, -1))
            return
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed with the backlog
        view, at = memoryview(blob), self._file_end
        try:
            while view:
                written = os.pwrite(self._file.fileno(), view, at)
                view, at = view[written:], at + written
        except OSError as error:
            error.filename = str(self._folder)
            # Half a segment would take the room that the blob store needs, which may be on the same disk.
            os.ftruncate(self._file.fileno(), self._file_end)
            raise
        self._waiting.append(_Waiting(segment, b"", self._file_end))
        self._file_end = at

    def first(self) -> tuple[Segment, bytes] | None:
        """The one that has waited longest; it stays."""
        if not self._waiting:
            return None
        segment, blob, at = self._waiting[0]
        if at >= 0 and self._file is not None:
            blob = os.pread(self._file.fileno(), segment.blob_bytes, at)
        return segment, blob

    def pop(self) -> None:
        """Removes the one that has waited longest."""
        segment, _, at = self._waiting.popleft()
        if at < 0:
            self._memory_bytes -= segment.blob_bytes
        if not self._waiting and self._file is not None:
            os.ftruncate(self._file.fileno(), 0)
            self._file_end = 0

    def close(self) -> None:
        """Drops what waits."""
        self._waiting.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
