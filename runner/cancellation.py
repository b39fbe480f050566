"""One request to stop, heard by whoever waits for a container, a build or the next step."""

import os
import threading


class Cancel:
    """Set once, from any thread. ``fileno`` becomes readable then, so that a select wakes up. ``by`` says who asked."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._closed = False
        self._read, self._write = os.pipe()
        self.by = ""
        self.lost = False

    def set(self, by: str, *, lost: bool = False) -> None:
        """Asks to stop. ``lost`` says that this worker no longer owns the job: others go on with it."""
        with self._lock:
            if self._closed or self._event.is_set():
                return
            self.by, self.lost = by, lost
            self._event.set()
            os.write(self._write, b"!")

    def __bool__(self) -> bool:
        """True when somebody asked."""
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Sleeps until somebody asks, for ``timeout_s`` at the most."""
        return self._event.wait(timeout_s)

    def fileno(self) -> int:
        """For select: readable once somebody asked."""
        return self._read

    def close(self) -> None:
        """Gives the descriptors back. Who asks to stop after that is not heard: there is nothing left to stop."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.close(self._read)
            os.close(self._write)
