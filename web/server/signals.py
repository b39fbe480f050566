"""Signals of the process, for a main thread that waits for them."""

import os
import select
import signal
from typing import Self


class Signals:
    """Waits for TERM, INT or the end of a child, and does nothing in between."""

    def __init__(self) -> None:
        self._over = False
        self.descriptors = os.pipe()
        for each in self.descriptors:
            os.set_blocking(each, False)

    def __enter__(self) -> Self:
        handlers = {signal.SIGTERM: self.end, signal.SIGINT: self.end, signal.SIGCHLD: lambda *_: None}
        self._before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        # Each signal writes a byte there: it counts also where it comes just before the wait.
        signal.set_wakeup_fd(self.descriptors[1], warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for each in self.descriptors:
            os.close(each)

    def end(self, *_: object) -> None:
        """Makes ``wait`` return False, from any thread."""
        self._over = True
        os.write(self.descriptors[1], b"\0")

    def wait(self, timeout_s: float | None) -> bool:
        """Returns after a signal, or after ``timeout_s`` seconds. False if it is time to end."""
        ready, _, _ = select.select([self.descriptors[0]], [], [], timeout_s)
        if ready:
            os.read(self.descriptors[0], 4096)
        return not self._over
