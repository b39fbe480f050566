"""Recognises lines in which common tools name a problem, its file and its place. Each line costs time in its length."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]

_FILE = r"(?P<file>(?:[A-Za-z]:[\\/])?[^\s:()\[\]\"'<>|*?][^:()\[\]\"'<>|*?]{0,255})"
_PLACE = rf"{_FILE}:(?P<line>[0-9]{{1,7}})"
_WITH_WORD = re.compile(
    rf"{_PLACE}(?::(?P<column>[0-9]{{1,6}}))?(?:[-:][0-9:]{{1,12}})?(?: -|:) (?P<word>fatal error|error|warning)\b:? ?"
)
_COLUMN = re.compile(rf"(?:vet: )?{_PLACE}:(?P<column>[0-9]{{1,6}}):? (?P<message>\S.*)")
_NO_COLUMN = re.compile(rf"\s{{0,12}}{_PLACE}: (?P<message>\S.*)")
_RUBY = re.compile(rf"{_PLACE}:in [`'][^']{{1,200}}': (?P<message>\S.*)")
_BRACKETS = re.compile(
    rf"\s{{0,12}}{_FILE}\((?P<line>[0-9]{{1,7}}),(?P<column>[0-9]{{1,6}})[0-9,]{{0,16}}\) ?: (?P<word>error|warning) "
)
_MAVEN = re.compile(
    rf"\[(?P<word>ERROR|WARNING)\] {_FILE}:\[(?P<line>[0-9]{{1,7}}),(?P<column>[0-9]{{1,6}})\] (?P<message>\S.*)"
)
_KOTLIN = re.compile(rf"(?P<word>[ew]): (?:file://)?{_PLACE}:(?P<column>[0-9]{{1,6}}):? (?P<message>\S.*)")
_ARROW = re.compile(rf"\s{{0,12}}--> {_PLACE}(?::(?P<column>[0-9]{{1,6}}))?\s*$")
_BEFORE_ARROW = re.compile(
    r"(?:(?P<word>error|warning)(?:\[[A-Z0-9]{1,10}\])?: |(?=[A-Z]{1,6}[0-9]{1,5} ))(?P<message>\S.*)"
)
_PANIC = re.compile(rf"thread '.{{0,200}}' (?:\([0-9]{{1,20}}\) )?panicked at {_PLACE}:(?P<column>[0-9]{{1,6}}):$")
_STYLISH = re.compile(
    r"\s{1,8}(?P<line>[0-9]{1,7}):(?P<column>[0-9]{1,6})\s{1,8}(?P<word>error|warning)\s{1,8}(?P<message>\S.*)"
)
_FILE_ALONE = re.compile(r"\S.{0,255}\.[A-Za-z]{1,6}$")
_FRAME = re.compile(r"\s{1,4}File \"(?P<file>[^\"<]{1,256})\", line (?P<line>[0-9]{1,7})")
_RAISED = re.compile(r"[A-Za-z_][\w.]{0,100}(?:Error|Exception|Exit|Interrupt|Warning|Failed)(?:: (?P<message>.*))?$")
_PYTEST_SAYS = re.compile(r"E {1,8}(?P<message>\S.*)")
_PYTEST_ENDS = re.compile(r"(?:FAILED|ERROR) (?P<file>[^\s:]{1,256})(?:::\S+)?(?: - (?P<message>.*))?$")
_PHP = re.compile(r"(?:PHP )?(?P<word>Fatal error|Parse error|Recoverable fatal error|Warning|Deprecated): +")
_DOCKERFILE = re.compile(r"(?P<file>[^\s:]{0,200}Dockerfile[^\s:]{0,50}):(?P<line>[0-9]{1,6})$")
_NOT_SOLVED = re.compile(r"(?:ERROR|error): failed to (?:solve|build): (?P<message>\S.*)")
_SOURCES = re.compile(r"\.(?:go|rb|py|mk)$|(?:^|/)Makefile$")
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9+]{0,9}$")
_UNIX_WORD = re.compile(r"\[(?P<word>Error|Warning)/[^\]\s]{1,100}\]$")


class Problem(NamedTuple):
    """What a line says."""

    severity: Severity
    file: str
    line: int
    column: int
    message: str


@dataclass
class _Before:
    """What earlier lines have said that later ones refer to."""

    header: tuple[Severity, str] | None = None
    file: str = ""
    frame: tuple[str, int] | None = None
    said: str = ""
    dockerfile: tuple[str, int] | None = None
    panic: tuple[str, int, int] | None = None


class ProblemPatterns:
    """Recognises the lines of one stream, which are given in their order, without escape sequences."""

    def __init__(self) -> None:
        self._before = _Before()

    def match(self, line: str) -> Problem | None:
        """The problem that this line names, or that it completes."""
        before = self._before
        if before.panic is not None:
            place, before.panic = before.panic, None
            return Problem("error", *place, line.strip())
        for find in _ALL:
            if problem := find(before, line):
                return problem
        _remember(before, line)
        return None


def _remember(before: _Before, line: str) -> None:
    if found := _BEFORE_ARROW.match(line):
        before.header = ("warning" if found["word"] == "warning" else "error", found["message"])
    elif found := _PYTEST_SAYS.match(line):
        before.said = before.said or found["message"]
    elif found := _FRAME.match(line):
        before.frame = (found["file"], int(found["line"]))
    elif found := _DOCKERFILE.match(line):
        before.dockerfile = (found["file"], int(found["line"]))
    elif found := _PANIC.match(line):
        before.panic = (found["file"], int(found["line"]), int(found["column"]))
    elif _FILE_ALONE.match(line):
        before.file = line


def _severity(word: str) -> Severity:
    return "warning" if word.lower() in {"warning", "w", "deprecated"} else "error"


def _of(found: re.Match[str], severity: Severity, message: str) -> Problem:
    column = found["column"] if "column" in found.re.groupindex else None
    return Problem(severity, found["file"], int(found["line"]), int(column or 0), message.strip())


def _with_word(_before: _Before, line: str) -> Problem | None:
    for pattern in (_WITH_WORD, _BRACKETS):
        if found := pattern.match(line):
            return _of(found, _severity(found["word"]), line[found.end() :])
    return None


def _with_column(_before: _Before, line: str) -> Problem | None:
    for pattern in (_MAVEN, _KOTLIN):
        if found := pattern.match(line):
            return _of(found, _severity(found["word"]), found["message"])
    found = _COLUMN.match(line)
    if found is None or not _EXTENSION.search(found["file"]) or found["message"].startswith("note:"):
        return None
    said = _UNIX_WORD.search(found["message"][-120:])
    return _of(found, _severity(said["word"]) if said else "error", found["message"])


def _without_column(before: _Before, line: str) -> Problem | None:
    if found := _RUBY.match(line):
        return _of(found, "error", found["message"])
    found = _NO_COLUMN.match(line)
    if found is None or not _SOURCES.search(found["file"]) or found["message"].startswith(("note:", "in ")):
        return None
    message = found["message"]
    if not found["file"].endswith(".py"):
        return _of(found, "error", message)
    if _RAISED.match(message) is None:
        return None
    said, before.said = before.said, ""
    kind = message.partition(":")[0]
    return _of(found, "warning" if kind.endswith("Warning") else "error", said or message)


def _stylish(before: _Before, line: str) -> Problem | None:
    found = _STYLISH.match(line)
    if found is None or not before.file:
        return None
    number, column = int(found["line"]), int(found["column"])
    return Problem(_severity(found["word"]), before.file, number, column, " ".join(found["message"].split()))


def _arrow(before: _Before, line: str) -> Problem | None:
    found = _ARROW.match(line)
    if found is None or before.header is None:
        return None
    header, before.header = before.header, None
    return _of(found, *header)


def _python(before: _Before, line: str) -> Problem | None:
    if before.frame is None or not _RAISED.match(line):
        return None
    frame, before.frame = before.frame, None
    return Problem("error", frame[0], frame[1], 0, line.strip())


def _pytest_summary(before: _Before, line: str) -> Problem | None:
    found = _PYTEST_ENDS.match(line)
    if found is None or not found["file"].endswith(".py"):
        return None
    before.said = ""
    return Problem("error", found["file"], 0, 0, line.strip())


def _php(_before: _Before, line: str) -> Problem | None:
    found = _PHP.match(line)
    if found is None:
        return None
    said, _, number = line.rpartition(" on line ")
    message, _, file = said.rpartition(" in ")
    if not message or not number.strip().isdecimal() or len(number) > 8:  # noqa: PLR2004 - of a line's number
        return None
    return Problem(_severity(found["word"]), file, int(number), 0, message[found.end() :])


def _docker(before: _Before, line: str) -> Problem | None:
    found = _NOT_SOLVED.match(line)
    if found is None:
        return None
    file, number = before.dockerfile or ("Dockerfile", 0)
    before.dockerfile = None
    return Problem("error", file, number, 0, found["message"])


_ALL: tuple[Callable[[_Before, str], Problem | None], ...] = (
    _with_word, _with_column, _without_column, _stylish, _arrow, _python, _pytest_summary, _php, _docker,
)  # fmt: skip
