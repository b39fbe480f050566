"""The newest output of a running step, held once for all streams that follow it."""

from collections.abc import Callable

from workers.streaming.redis_stream import LiveChunk, LiveEnd, parse_entry, step_key

PIECE_BYTES = 64 * 1024

RawEntry = tuple[bytes, dict[bytes, bytes]]


class SharedTail:
    """A window on a step's output: its bytes from ``start`` to ``end``, for streams that read at their own pace.

    A stream that falls behind ``start`` reads the log store instead: it costs no memory here and delays no other.
    """

    def __init__(self, step_id: int, attempt: int) -> None:
        self.key = step_key(step_id, attempt)
        self.last_id: bytes | None = None
        """The last entry of Redis's stream that is in here. None before the first read."""
        self.start = 0
        self.ended = False
        self.wake: list[Callable[[], None]] = []
        """Called when there is more to read."""
        self._data = bytearray()

    @property
    def end(self) -> int:
        """The offset after the newest byte."""
        return self.start + len(self._data)

    def add(self, entries: list[RawEntry], bytes_max: int) -> None:
        """Adds what Redis brought, and keeps the newest ``bytes_max`` of it at most."""
        for entry_id, fields in entries:
            self.last_id = entry_id
            match parse_entry(fields):
                case LiveChunk(offset, data):
                    self._append(offset, data)
                case LiveEnd():
                    self.ended = True
        if (surplus := len(self._data) - bytes_max) > 0:
            del self._data[:surplus]
            self.start += surplus
        for wake in self.wake:
            wake()

    def read(self, position: int) -> bytes:
        """The next bytes from ``position`` on; none if they are not in the window."""
        at = position - self.start
        return bytes(self._data[at : at + PIECE_BYTES]) if at >= 0 else b""

    def _append(self, offset: int, data: bytes) -> None:
        if offset > self.end:
            # Chunks were lost: streams read the missing bytes from the log store.
            self._data.clear()
            self.start = offset
        self._data += data[self.end - offset :]
