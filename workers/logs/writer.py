"""Writes one log: collects output into segments, which a thread brings into the blob store."""

import threading
import time
from collections.abc import Sequence

import structlog
from sqlalchemy.exc import OperationalError

from runner.events import Stream
from workers.blobs import BlobsRefusedError
from workers.disk import FULL
from workers.logs.pace import Pace
from workers.logs.segments import Segment, SegmentBuilder
from workers.logs.uploads import Uploads, folder_of
from workers.store.logs import COMPLETE, SUSPENDED

BUFFER_BYTES_MAX = 1024**2
"""So many bytes wait in memory on a full disk, until there is room or the log ends."""
_BACK_OFF_S, _BACK_OFF_S_MAX = 0.5, 8.0
_FULL_S = 0.5
"""So long a full disk is not asked again: output comes in many small pieces."""

_log = structlog.get_logger()


class SegmentWriter:
    """See ``LogWriter``. While the blob store does not take it, output waits and nothing fails."""

    def __init__(self, log_key: str, uploads: Uploads, pace: Pace, stored: Sequence[Segment]) -> None:
        self._log_key = log_key
        self._uploads = uploads
        self._pace = pace
        last = stored[-1] if stored else None
        self._size_bytes, self._newlines, self._ends_line = (
            (last.raw_end, last.newlines_end, last.ends_line) if last else (0, 0, True)
        )
        self._builder = SegmentBuilder(self._size_bytes, self._newlines)
        self._built: tuple[Segment, bytes] | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._full_until_s = 0.0
        self._ending = False
        self._closed = False

    @property
    def size_bytes(self) -> int:
        """See ``LogWriter``."""
        with self._lock:
            return self._size_bytes

    @property
    def lines(self) -> int:
        """See ``LogWriter``."""
        with self._lock:
            return self._newlines + (not self._ends_line)

    def append(self, data: bytes, stream: Stream, at_ms: int) -> None:
        """See ``LogWriter``."""
        if not data:
            return
        if self._error is not None:
            raise self._error
        with self._lock:
            view = memoryview(data)
            while view:
                room = max(1, self._pace.segment_bytes_max - self._builder.raw_bytes)
                self._builder.add(bytes(view[:room]), stream, at_ms)
                view = view[room:]
                self._cut_if_due(at_ms - self._pace.flush_after_ms)
            self._size_bytes += len(data)
            self._newlines += data.count(b"\n")
            self._ends_line = data.endswith(b"\n")

    def flush(self) -> None:
        """See ``LogWriter``."""
        with self._lock:
            self._cut()
        self._uploads.drain()

    def flush_older(self, at_ms: int) -> None:
        """See ``LogWriter``."""
        if self._error is not None:
            raise self._error
        with self._lock:
            if self._builder.raw_bytes and self._builder.first_ms <= at_ms:
                self._cut()
                self._upload_soon()

    def close(self) -> None:
        """See ``LogWriter``."""
        self._end(COMPLETE)

    def suspend(self) -> None:
        """See ``LogWriter``."""
        self._end(SUSPENDED)

    def _cut_if_due(self, at_ms: int) -> None:
        builder = self._builder
        full = builder.raw_bytes >= self._pace.segment_bytes_max or builder.is_full
        if not full and builder.first_ms > at_ms:
            return
        fits = self._builder.raw_bytes <= BUFFER_BYTES_MAX
        if fits and time.monotonic() < self._full_until_s:
            return
        try:
            self._cut()
        except OSError as error:
            if error.errno not in FULL or not fits:
                raise
            self._full_until_s = time.monotonic() + _FULL_S
        self._upload_soon()

    def _cut(self) -> None:
        """What was collected waits for the store now. Raises OSError where it does not fit on the spool's disk."""
        if self._built is not None:
            self._queue(*self._built)
            self._built = None
        if self._builder.raw_bytes:
            self._built = self._builder.build(folder_of(self._log_key))
            self._builder = SegmentBuilder(self._builder.raw_end, self._builder.newlines_end)
            self._queue(*self._built)
            self._built = None

    def _queue(self, segment: Segment, blob: bytes) -> None:
        if not self._pace.spools and self._uploads.is_full:
            self._uploads.drain()
        self._uploads.add(segment, blob)

    def _upload_soon(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._upload, name=f"log-{self._log_key[:8]}", daemon=True)
            self._thread.start()
        self._wake.set()

    def _upload(self) -> None:
        """The thread: stores what waits. A store that is away is tried again; the end of the log wakes it at once."""
        pause_s = _BACK_OFF_S
        while not self._ending:
            try:
                self._uploads.drain()
            except (OSError, OperationalError) as error:
                _log.warning("a log waits for the blob store", log=self._log_key, error=str(error))
                self._pause(pause_s)
                pause_s = min(2 * pause_s, _BACK_OFF_S_MAX)
                continue
            except Exception as error:  # noqa: BLE001 - the next append raises it, and the job ends with it
                self._error = error
                return
            pause_s = _BACK_OFF_S
            self._wake.wait()
            self._wake.clear()

    def _pause(self, pause_s: float) -> None:
        deadline_s = time.monotonic() + pause_s
        while not self._ending and (left_s := deadline_s - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.05))

    def _end(self, state: str) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._finish(state)
        except OSError:
            self._stop_thread()
            self._forget_the_rest()
            self._uploads.cut()
            raise
        finally:
            self._stop_thread()
            self._uploads.close()

    def _finish(self, state: str) -> None:
        """Stores what waits, and tries again for as long as the pace allows."""
        deadline_s = time.monotonic() + self._pace.end_patience_s
        pause_s = _BACK_OFF_S
        while True:
            try:
                with self._lock:
                    self._cut()
                self._uploads.finish(state)
            except BlobsRefusedError:
                raise
            except OSError as error:
                if time.monotonic() >= deadline_s:
                    raise
                _log.warning("the end of a log waits for the blob store", log=self._log_key, error=str(error))
            else:
                return
            time.sleep(min(pause_s, max(0.0, deadline_s - time.monotonic())))
            pause_s = min(2 * pause_s, _BACK_OFF_S_MAX)

    def _stop_thread(self) -> None:
        self._ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _forget_the_rest(self) -> None:
        """Size and lines are those of what is stored."""
        stored = self._uploads.stored
        with self._lock:
            last = stored[-1] if stored else None
            self._size_bytes, self._newlines, self._ends_line = (
                (last.raw_end, last.newlines_end, last.ends_line) if last else (0, 0, True)
            )
