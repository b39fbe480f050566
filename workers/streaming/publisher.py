"""Carries what a job says to Redis, from a thread of its own: a slow or dead Redis never holds up a step."""

import threading
from dataclasses import dataclass, field

from workers.streaming.redis_stream import LiveTail

PENDING_BYTES_MAX = 4 * 1024 * 1024
"""What may wait for a slow Redis. Beyond it the live copy is dropped; the stored one never is."""

_EVERY_S = 0.05
_CLOSE_WITHIN_S = 3.0


@dataclass
class _Tail:
    """Output of one step that Redis has not had yet, without a gap from ``offset`` on."""

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
    """Takes everything at once and hands it on within 50 ms. May be used from several threads."""

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
                # Readers see the gap by the offsets and take what is missing from the stored log.
                self._pending.tails.clear()
                self._bytes, tail = 0, None
            if tail is None:
                tail = self._pending.tails[step_id] = _Tail(offset, bytearray())
            tail.data += data
            self._bytes += len(data)
            self._wake.notify()

    def ended(self, step_id: int) -> None:
        """The step's last output was given, and is stored."""
        with self._wake:
            self._pending.ended.append(step_id)
            self._wake.notify()

    def changed(self) -> None:
        """Rows of the run have changed, and are committed."""
        with self._wake:
            self._pending.changed = True
            self._wake.notify()

    def close(self) -> None:
        """Hands on what waits, and stops; a Redis that does not answer is not waited for."""
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
            self._hand_on(pending)
            with self._wake:
                # A moment for more to come: many small writes become one.
                self._wake.wait_for(lambda: self._closed, timeout=_EVERY_S)
                closed = self._closed and not self._pending

    def _hand_on(self, pending: _Pending) -> None:
        for step_id, tail in pending.tails.items():
            self._live.publish(step_id, self._attempt, tail.offset, bytes(tail.data))
        for step_id in pending.ended:
            self._live.end(step_id, self._attempt)
        if pending.changed:
            self._live.changed(self._run_id)
