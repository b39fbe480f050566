"""Writes one log on disk. Output is buffered until a frame is full, for a second at most."""

import os
import threading

import zstandard

from runner.events import Stream
from workers.disk import FULL
from workers.logs import index
from workers.logs.files import LogFiles, repair, write_at
from workers.logs.interface import Chunk

FRAME_BYTES_MAX = 256 * 1024
FLUSH_AFTER_MS = 1000
BUFFER_BYTES_MAX = 1024**2
"""So many bytes wait in memory on a full disk, until there is room or the log ends."""
_SOURCE_EVERY_MS = 100
_ZSTD_LEVEL = 1  # 762 MB/s at a ratio of 6; the next levels cost much and gain little


class DiskWriter:
    """See ``LogWriter``. After a write that failed (disk full) the same bytes may be flushed again."""

    def __init__(self, files: LogFiles) -> None:
        self._path = files.frames
        files.frames.parent.mkdir(parents=True, exist_ok=True)
        self._data, self._index, self._source = (os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for path in files)
        self._last, self._index_bytes, self._source_bytes = repair(self._data, self._index, self._source)
        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        self._buffer = bytearray()
        self._buffer_newlines = 0
        self._first_ms = 0
        self._chunk: Chunk | None = None
        self._new_sources = b""
        self._closed = False
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """See ``LogWriter``."""
        with self._lock:
            return self._last.raw_end + len(self._buffer)

    @property
    def lines(self) -> int:
        """See ``LogWriter``."""
        with self._lock:
            if not self._buffer:
                return self._last.lines_end
            return self._last.newlines_end + self._buffer_newlines + (not self._buffer.endswith(b"\n"))

    def append(self, data: bytes, stream: Stream, at_ms: int) -> None:
        """See ``LogWriter``."""
        if not data:
            return
        with self._lock:
            self._note_source(stream, at_ms)
            if not self._buffer:
                self._first_ms = at_ms
            self._buffer += data
            self._buffer_newlines += data.count(b"\n")
            try:
                while len(self._buffer) >= FRAME_BYTES_MAX:
                    self._write_frame(FRAME_BYTES_MAX)
                    self._first_ms = at_ms
                self._write_older(at_ms - FLUSH_AFTER_MS)
            except OSError as error:
                if error.errno not in FULL or len(self._buffer) > BUFFER_BYTES_MAX:
                    raise

    def flush(self) -> None:
        """See ``LogWriter``."""
        with self._lock:
            self._write_all()

    def flush_older(self, at_ms: int) -> None:
        """See ``LogWriter``."""
        with self._lock:
            self._write_older(at_ms)

    def close(self) -> None:
        """See ``LogWriter``."""
        self._end(index.END_RECORD)

    def suspend(self) -> None:
        """See ``LogWriter``."""
        self._end(b"")

    def _end(self, record: bytes) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._write_all()
                write_at(self._index, self._index_bytes, record)
            finally:
                # Output that could not be written must not go to a descriptor that is reused after the close.
                self._buffer.clear()
                for descriptor in (self._data, self._index, self._source):
                    os.close(descriptor)

    def _note_source(self, stream: Stream, at_ms: int) -> None:
        before = self._chunk
        if before is None or before.stream is not stream or at_ms - before.at_ms >= _SOURCE_EVERY_MS:
            self._chunk = Chunk(self._last.raw_end + len(self._buffer), at_ms, stream)
            self._new_sources += index.pack_source(self._chunk)

    def _write_older(self, at_ms: int) -> None:
        if self._first_ms <= at_ms:
            self._write_all()

    def _write_all(self) -> None:
        if self._buffer:
            self._write_frame(len(self._buffer))

    def _write_frame(self, length: int) -> None:
        raw = bytes(self._buffer[:length])
        packed = self._compressor.compress(raw)
        frame = self._last.next(raw, len(packed), self._first_ms)
        # The index comes last: to readers, and after a crash, a frame without its record does not exist.
        try:
            write_at(self._data, frame.file_offset, packed)
            write_at(self._source, self._source_bytes, self._new_sources)
            write_at(self._index, self._index_bytes, frame.pack())
        except OSError as error:
            error.filename = str(self._path)
            raise
        self._last = frame
        self._index_bytes += index.FRAME_RECORD_BYTES
        self._source_bytes += len(self._new_sources)
        self._new_sources = b""
        del self._buffer[:length]
        self._buffer_newlines -= frame.newlines_inside
