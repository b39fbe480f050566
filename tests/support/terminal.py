"""A terminal for a program that is run in a test."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

END_TIMEOUT_S = 60


class TerminalProgram:
    """A program with a terminal: what it shows, and keys that are pressed."""

    def __init__(self, process: "subprocess.Popen[bytes]", ours: int) -> None:
        self.process, self._ours = process, ours
        self.shown = b""

    def press(self, keys: bytes) -> None:
        """Types at the terminal."""
        os.write(self._ours, keys)

    def press_all(self, keys: bytes) -> None:
        """Types more than the terminal takes at once."""
        left = memoryview(keys)
        while left:
            left = left[os.write(self._ours, left) :]

    def settings(self) -> object:
        """How the terminal treats what is typed and shown."""
        return termios.tcgetattr(self._ours)

    def resize(self, columns: int, lines: int) -> None:
        """Changes the size of the terminal's window."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)  # as it is not the terminal that controls the program

    def read_until(self, word: bytes) -> bytes:
        """Reads on until the terminal has shown the word."""
        while word not in self.shown:
            try:
                self.shown += os.read(self._ours, 65536)
            except OSError:  # the program has ended
                raise AssertionError(f"{word!r} is not in {self.shown!r}") from None
        return self.shown

    def read_all(self) -> bytes:
        """All that the program shows until its end."""
        while True:
            try:
                self.shown += os.read(self._ours, 65536)
            except OSError:  # how a terminal reports that its other end is closed
                return self.shown


@contextmanager
def in_terminal(
    command: Sequence[str], folder: Path, env: Mapping[str, str]
) -> Iterator[TerminalProgram]:  # fmt: skip
    """Runs the program with a new terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=folder, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            yield TerminalProgram(process, ours)
            process.wait(END_TIMEOUT_S)
        finally:
            process.kill()
            os.close(ours)
