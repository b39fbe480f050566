"""The gate: how a step's commands reach their shell, and how its exit status comes back.

The first process of the container (runner/docker/init/init.c) is the *gate*: it waits on standard input for a token and
the script. So a container can be started before its step's turn (prestart), and a script has no length limit. If the
runner dies, the gate reads end-of-file and exits. It starts ``sh`` with the script as a file, as a container of its own
would. When that shell has ended, the gate kills the processes left in the background, and prints the token with the
exit status, and what the container used. That arrives some 30 ms before the engine knows of the end. The gate prints it
on both outputs, because the engine forwards these independently, and both must be complete.
"""

import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from runner.events import Stream

PREAMBLE = "exec 3<&-; set -e\n"
"""The script comes as this open file, of which its commands have no need. ``sh -e`` would say the same, but bash then
ends before its first line if it dislikes a function in its environment."""
STATUS_BYTES_MAX = 49
"""An exit status has at most three digits, a signal two, the most memory and processor time twenty each; a space is
between them, and a newline follows."""


def new_token() -> str:
    """A random word that no output contains by chance."""
    return secrets.token_hex(16)


def gate_input(token: str, script: str) -> bytes:
    """What opens the gate."""
    data = f"{PREAMBLE}{script}".encode(errors="surrogateescape")
    return f"{token} {len(data)}\n".encode() + data


class Used(NamedTuple):
    """The most memory and the processor time that a container used, as its control group says; 0 if it is not known."""

    memory_peak_bytes: int = 0
    cpu_s: float = 0


NOT_MEASURED = Used()


class StatusWatch:
    """Finds the gate's status line in a stream, also if chunks split it, and keeps it out of the log.

    What follows the line is no output of the step, unless ``goes_on``.
    """

    def __init__(self, token: str, *, goes_on: bool = False) -> None:
        self.token = token
        self._goes_on = goes_on
        self._mark = b"\x1e" + token.encode() + b" "
        self._line = re.compile(re.escape(self._mark) + rb"(\d+) (\d+)(?: (\d+) (\d+))?\n")
        self._held = b""
        self.status: int | None = None
        self.signal = 0
        self.used = NOT_MEASURED

    def feed(self, data: bytes) -> bytes:
        """The output without the status line. Holds back bytes that may be the start of one."""
        data, self._held = self._held + data, b""
        if found := self._line.search(data):
            self.status, self.signal = int(found[1]), int(found[2])
            self.used = Used(int(found[3] or 0), int(found[4] or 0) / 1e6)
            return data[: found.start()] + (data[found.end() :] if self._goes_on else b"")
        # A status line has only one \x1e, so an incomplete one can only start at the last.
        start = data.rfind(b"\x1e")
        if start >= 0 and self._may_start(data[start:]):
            self._held = data[start:]
            return data[:start]
        return data

    def _may_start(self, rest: bytes) -> bool:
        mark = self._mark
        return mark.startswith(rest) or (rest.startswith(mark) and len(rest) < len(mark) + STATUS_BYTES_MAX)

    def flush(self) -> bytes:
        """The bytes held back: the stream has ended without a status line."""
        held, self._held = self._held, b""
        return held


class GateStatus:
    """The exit status that the gate prints at the end of each of the step's two outputs. No ``token``: no gate.

    A container without a gate prints what it used, with ``measure_token``, at the end of its error output. Its program
    can read that token, so nothing but what is shown of it may depend on this line.
    """

    def __init__(self, token: str, measure_token: str = "") -> None:
        names = (Stream.STDOUT, Stream.STDERR) if token else ()
        self.watches = {name: StatusWatch(token) for name in names}
        self._measures = {Stream.STDERR: StatusWatch(measure_token, goes_on=True)} if measure_token else {}

    @property
    def filters(self) -> Mapping[Stream, StatusWatch]:
        """What takes the lines of the first process out of each output."""
        return self.watches or self._measures

    @property
    def used(self) -> Used:
        """What the container used, once that has arrived."""
        return max((watch.used for watch in self.filters.values()), default=NOT_MEASURED)

    def __bool__(self) -> bool:
        """True when the status has arrived on both outputs: they are complete."""
        return bool(self.watches) and all(watch.status is not None for watch in self.watches.values())

    @property
    def status(self) -> int | None:
        """The exit status, once it has arrived on one output."""
        return next((watch.status for watch in self.watches.values() if watch.status is not None), None)

    @property
    def signal(self) -> int:
        """The number of the signal that ended the step's shell; 0 if it ended by itself, or nothing has arrived."""
        return max((watch.signal for watch in self.watches.values()), default=0)
