"""How a step's commands reach its shell, and how its exit status comes back.

The container starts a small shell program, the *gate*, which waits for two lines on standard input: a token and the
script. So a container can be started before it is its step's turn, and a script has no length limit. When the runner
goes away the gate reads end-of-file and leaves. The script runs in a subshell: it may set traps, exit, or replace
itself. The gate then kills stragglers and prints the token with the exit status, which arrives some 30 ms before the
engine knows of the end. It prints them on both outputs: the engine hands these on independently, and each must have
come to its end.
"""

import re
import secrets
import shlex
from collections.abc import Mapping, Sequence

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
"""An exit status has three digits at most, and then comes the line's end."""


def new_token() -> str:
    """A word that no output holds by chance."""
    return secrets.token_hex(16)


def gate_lines(token: str, script: str) -> bytes:
    """What opens the gate."""
    text = script.replace("\\", "\\\\").replace("\n", "\\n")
    return f"{token}\n{text}\n".encode(errors="surrogateescape")


def script_of(commands: Sequence[str], directory: str, environment: Mapping[str, str]) -> str:
    """The script for a step: its late variables, its folder, and each command after a line that shows it.

    One shell runs all commands, with ``set -e``, as in Woodpecker. An empty ``directory`` means that the step stays
    where its image starts it.
    """
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    if directory:
        lines += [f"mkdir -p {shlex.quote(directory)}", f"cd {shlex.quote(directory)}"]
    for command in commands:
        lines += [f"printf '%s\\n' {shlex.quote('+ ' + command.strip())}", command]
    return "\n".join(lines) + "\n"


class StatusWatch:
    """Finds the gate's last words in a stream, also across the edges of chunks, and keeps them from the log."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._mark = b"\x1e" + token.encode() + b" "
        self._words = re.compile(re.escape(self._mark) + rb"(\d+)\n")
        self._held = b""
        self.status: int | None = None

    def feed(self, data: bytes) -> bytes:
        """The output without the mark. Holds back what may be the beginning of one."""
        data, self._held = self._held + data, b""
        if found := self._words.search(data):
            self.status = int(found[1])
            return data[: found.start()]
        # A mark has no second \x1e in it, so only the last one may begin what has not come whole.
        start = data.rfind(b"\x1e")
        if start >= 0 and self._may_begin(data[start:]):
            self._held = data[start:]
            return data[:start]
        return data

    def _may_begin(self, rest: bytes) -> bool:
        mark = self._mark
        return mark.startswith(rest) or (rest.startswith(mark) and len(rest) < len(mark) + STATUS_BYTES_MAX)

    def flush(self) -> bytes:
        """What was held back: the stream has ended without the mark."""
        held, self._held = self._held, b""
        return held
