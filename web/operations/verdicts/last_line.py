"""The line of a failed step's log that says most of why: the last that names an error, or else the last one at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

LINES_LOOKED_AT_MAX = 200
CANDIDATES_MAX = 30
"""So many lines from the end may name the error; an earlier one rarely is about the end."""
TEXT_CHARS_MAX = 300
_LOOKED_AT_CHARS_MAX = 1000

_BUILD_PREFIX = re.compile(r"#\d{1,6} (?:\d{1,6}\.\d{1,3} )?")
# What tools write after the cause: that something failed, with which code, and where a log is.
_NOISE = re.compile(
    r"\+ |headway: |\W*$"
    r"|(?:\S+: )?(?:Error: )?(?:the |Process |command )?(?:completed |exited |failed )?(?:with )?"
    r"(?:exit )?(?:status|code):? ?\d{1,3}\W*$"
    r"|g?make(?:\[\d+\])?: (?:\*\*\* |Leaving|Entering|Target )|ninja: build stopped"
    r"|npm (?:ERR!|error) (?:A complete log|code |errno |Lifecycle|path |command |\s*/|$)|\s*ELIFECYCLE"
    r"|error Command failed"
    r"|(?:info|error) Visit https?:|For more information about this error|note: |Some errors have detailed"
    r"|ERROR(?::)? (?:failed to (?:build|solve)|process \")|failed to solve|(?:CANCELED|CACHED|DONE)\b"
    r"|\s*> \[|\s*>>> |\s*\d{1,6} \||[^\s:]*Dockerfile[^\s:]*:\d+$|process \""
    r"|\s+at |Aborted$|Terminated$"
)
_SIGN = re.compile(
    r"(?i)\w*(?:error|exception)\b|\b(?:fatal|panic|fail(?:ed|ure|s)?|cannot|can't|could not|no such|not found"
    r"|undefined|denied|refused|unable|unknown|invalid|segmentation fault|missing|timed out|timeout|unexpected"
    r"|mismatch|not allowed|forbidden|unauthorized|conflict|must be|out of)\b|^E  "
)
_NO_SIGN = re.compile(r"(?i)\b(?:0|no) (?:errors?|failures?|failed)\b")


@dataclass(frozen=True)
class LogLine:
    """A line of a log as plain text, cut where it is long."""

    number: int
    text: str


def telling_line(lines: Sequence[str], first_number: int) -> LogLine | None:
    """The line that says why a step failed. ``lines`` are the last ones of its log, without escape sequences."""
    last: LogLine | None = None
    candidates = 0
    for index in range(len(lines) - 1, max(-1, len(lines) - 1 - LINES_LOOKED_AT_MAX), -1):
        text = _BUILD_PREFIX.sub("", lines[index][:_LOOKED_AT_CHARS_MAX], count=1).rstrip()
        if _NOISE.match(text):
            continue
        found = LogLine(first_number + index, _cut(text.strip()))
        last = last or found
        if _SIGN.search(text) and not _NO_SIGN.search(text):
            return found
        candidates += 1
        if candidates == CANDIDATES_MAX:
            break
    return last


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"
