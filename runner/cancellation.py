"""Cancellation: one request to stop, which every wait for a container, a build or the next step can see."""

import os
import select
import threading


class Cancel:
    """Set at most once, from any thread and from a signal handler. ``fileno`` becomes readable then, so that a select
    wakes up. ``by`` says who canceled.
    """

    def __init__(self) -> None:
        # Reentrant: a second signal may interrupt the handler of the first inside ``set``.
        self._lock = threading.RLock()
        self._requested = False
        self._closed = False
        self._read, self._write = os.pipe()
        self.by = ""
        self.lost = False

    def set(self, by: str, *, lost: bool = False) -> None:
        """Requests the stop. ``lost`` means that this worker lost the job's lease: another worker has the job now."""
        with self._lock:
            if self._closed or self._requested:
                return
            self.by, self.lost = by, lost
            self._requested = True
            os.write(self._write, b"!")

    def __bool__(self) -> bool:
        """True when the stop was requested."""
        return self._requested

    def wait(self, timeout_s: float) -> bool:
        """Sleeps until the stop is requested, for at most ``timeout_s``. Only before ``close``."""
        waiting = select.poll()
        waiting.register(self._read, select.POLLIN)
        waiting.poll(timeout_s * 1000)
        return self._requested

    def fileno(self) -> int:
        """For select: readable once the stop was requested."""
        return self._read

    def close(self) -> None:
        """Closes the pipe. A later ``set`` does nothing: there is nothing left to stop."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.close(self._read)
            os.close(self._write)
