"""The gate: how a step's commands reach its shell, and how its exit status comes back.

The container starts a small shell program, the *gate*, which waits for two lines on standard input: a token and the
script. So a container can be started before its step's turn (prestart), and a script has no length limit. If the runner
dies, the gate reads end-of-file and exits. The script runs in a subshell: it may set traps, exit, or replace itself
(exec). The gate then kills the processes that the script left in the background and prints the token with the exit
status. That arrives some 30 ms before the engine knows of the end. The gate prints it on both outputs, because the
engine forwards these independently, and both must be complete.
"""

import re
import secrets

from runner.events import Stream

GATE = r"""
IFS= read -r _headway_token && IFS= read -r _headway_script || exit 125
exec </dev/null
trap : TERM
( unset _headway_token TINI_KILL_PROCESS_GROUP; trap - TERM; set -e; eval "$(printf '%b' "$_headway_script")" )
_headway_status=$?
kill -KILL -1 2>/dev/null
printf '\036%s %s\n' "$_headway_token" "$_headway_status"
printf '\036%s %s\n' "$_headway_token" "$_headway_status" >&2
exit "$_headway_status"
""".strip()
GATE_ENTRYPOINT = ("sh", "-c", GATE)
# The gate ignores TERM, for it waits for its script; with this, docker-init sends signals to the script as well.
GATE_ENVIRONMENT = {"TINI_KILL_PROCESS_GROUP": "1"}
STATUS_BYTES_MAX = 4
"""An exit status has at most three digits, and a newline follows it."""


def new_token() -> str:
    """A random word that no output contains by chance."""
    return secrets.token_hex(16)


def gate_lines(token: str, script: str) -> bytes:
    """The two lines that open the gate."""
    text = script.replace("\\", "\\\\").replace("\n", "\\n")
    return f"{token}\n{text}\n".encode(errors="surrogateescape")


class StatusWatch:
    """Finds the gate's status line in a stream, also if chunks split it, and keeps it out of the log."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._mark = b"\x1e" + token.encode() + b" "
        self._line = re.compile(re.escape(self._mark) + rb"(\d+)\n")
        self._held = b""
        self.status: int | None = None

    def feed(self, data: bytes) -> bytes:
        """The output without the status line. Holds back bytes that may be the start of one."""
        data, self._held = self._held + data, b""
        if found := self._line.search(data):
            self.status = int(found[1])
            return data[: found.start()]
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
    """The exit status that the gate prints at the end of each of the step's two outputs. No ``token``: no gate."""

    def __init__(self, token: str) -> None:
        names = (Stream.STDOUT, Stream.STDERR) if token else ()
        self.watches = {name: StatusWatch(token) for name in names}

    def __bool__(self) -> bool:
        """True when the status has arrived on both outputs: they are complete."""
        return bool(self.watches) and all(watch.status is not None for watch in self.watches.values())

    @property
    def status(self) -> int | None:
        """The exit status, once it has arrived on one output."""
        return next((watch.status for watch in self.watches.values() if watch.status is not None), None)
