"""Publishes a job's output and changes to Redis from a background thread: a slow or dead Redis delays no step."""

import threading
from dataclasses import dataclass, field

from workers.streaming.redis_stream import LiveTail

PENDING_BYTES_MAX = 4 * 1024 * 1024
"""The buffer for a slow Redis. When it is full, live output is dropped; the stored log stays complete."""

_EVERY_S = 0.05
_CLOSE_WITHIN_S = 3.0


@dataclass
class _Tail:
    """Output of one step that is not in Redis yet, without gaps from ``offset`` on."""

    offset: int
    data: bytearray


@dataclass
class _Pending:
    tails: dict[int, _Tail] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    changed: bool = False

    def __bool__(self) -> bool:
        return bool(self.tails or self.ended or self.changed)


class LogPublisher:
    """Accepts updates without waiting and publishes them within 50 ms, in batches. May be used from several threads."""

    def __init__(self, live: LiveTail, run_id: int, attempt: int) -> None:
        self._live = live
        self._run_id = run_id
        self._attempt = attempt
        self._pending = _Pending()
        self._bytes = 0
        self._closed = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"live-{run_id}", daemon=True)
        self._thread.start()

    def output(self, step_id: int, offset: int, data: bytes) -> None:
        """Output of a step, in the order of its offsets."""
        with self._wake:
            tail = self._pending.tails.get(step_id)
            if self._bytes + len(data) > PENDING_BYTES_MAX:
                # Readers recognize the gap by the offsets, and read the missing part from the stored log.
                self._pending.tails.clear()
                self._bytes, tail = 0, None
            if tail is None:
                tail = self._pending.tails[step_id] = _Tail(offset, bytearray())
            tail.data += data
            self._bytes += len(data)
            self._wake.notify()

    def ended(self, step_id: int) -> None:
        """The step has no more output, and all of it is in the log store."""
        with self._wake:
            self._pending.ended.append(step_id)
            self._wake.notify()

    def changed(self) -> None:
        """Rows of the run have changed, and are committed."""
        with self._wake:
            self._pending.changed = True
            self._wake.notify()

    def close(self) -> None:
        """Publishes what is buffered, and stops the thread. Does not wait for a Redis that does not answer."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(_CLOSE_WITHIN_S)

    def _work(self) -> None:
        closed = False
        while not closed:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or bool(self._pending))
                pending, self._pending, self._bytes = self._pending, _Pending(), 0
            self._publish(pending)
            with self._wake:
                # Wait a moment for more output: many small writes become one batch.
                self._wake.wait_for(lambda: self._closed, timeout=_EVERY_S)
                closed = self._closed and not self._pending

    def _publish(self, pending: _Pending) -> None:
        for step_id, tail in pending.tails.items():
            self._live.publish(step_id, self._attempt, tail.offset, bytes(tail.data))
        for step_id in pending.ended:
            self._live.end(step_id, self._attempt)
        if pending.changed:
            self._live.changed(self._run_id)
