"""Which lines of a log are the traces of a step's commands: before each command its shell prints it, after a `+ `."""

from collections.abc import Iterable

from runner.logs.redact import MASK

TRACE_BYTES_MAX = 900
"""Of longer lines only the beginning is compared."""

MASKED_LINES_MAX = 200
"""Lines with a masked secret that are compared with all commands. Further ones count as output."""


class CommandTraces:
    """The traces of these commands. A command of several lines is known by its first one."""

    def __init__(self, commands: Iterable[str]) -> None:
        firsts = (command.strip().partition("\n")[0].rstrip() for command in commands)
        self._all = {first.encode(errors="surrogateescape")[:TRACE_BYTES_MAX] for first in firsts}
        self._masked: dict[bytes, bool] = {}

    def has(self, line: bytes) -> bool:
        """True if a line with this text after its `+ ` is the trace of a command. Secrets in it may be masked."""
        shown = line.rstrip()[:TRACE_BYTES_MAX]
        return shown in self._all or (MASK in shown and self._has_masked(shown))

    def _has_masked(self, shown: bytes) -> bool:
        if shown not in self._masked and len(self._masked) < MASKED_LINES_MAX:
            parts = shown.split(MASK)
            self._masked[shown] = any(_has_parts(command, parts) for command in self._all)
        return self._masked.get(shown, False)


def _has_parts(command: bytes, parts: list[bytes]) -> bool:
    """True if the command begins with the first part, ends with the last one, and has the others between, in order."""
    first, *inner, last = parts
    start, end = len(first), len(command) - len(last)
    if start > end or not command.startswith(first) or not command.endswith(last):
        return False
    for part in inner:
        start = command.find(part, start, end) + len(part)
        if start < len(part):
            return False
    return True
