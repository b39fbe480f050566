"""Finds in the text of a failed test where it failed: a file of the repository and a line."""

import re
from posixpath import normpath

_NUMBER = re.compile(r"(?::line |:|\()([1-9][0-9]{0,6})(?![0-9])")
_NAME_END = re.compile(r"[\w./\\@+~-]+\.[A-Za-z]{1,5}\Z")
_FOREIGN = (
    "node_modules/", "site-packages/", "dist-packages/", "/usr/", "/lib/", "/opt/", "/go/pkg/", "/.cargo/", "/rustc/",
    "vendor/", "java.base/", "node:",
)  # fmt: skip
NUMBERS_COUNT_MAX = 200
NAME_CHARACTERS_MAX = 300


def place_in(text: str, hints: str, workspace: str) -> tuple[str, int]:
    """The file and the line that a text names as the place of a failure; ("", 0) without one.

    Of several, the first whose file is named after the test, by ``hints``, counts; in Python, which lists the innermost
    call last, the last.
    """
    found: list[tuple[str, int]] = []
    for number in _numbers(text):
        before = text[max(0, number.start() - NAME_CHARACTERS_MAX) : number.start()].rpartition("\n")[2]
        name = _NAME_END.search(before) if before[-1:].isalpha() else None
        if name and not any(foreign in before for foreign in _FOREIGN):
            found.append((in_checkout(name[0], workspace), int(number[1])))
    if not found:
        return "", 0
    named = [each for each in found if _stem(each[0]) in hints] or found
    return named[-1] if named[-1][0].endswith(".py") else named[0]


def _numbers(text: str) -> list[re.Match[str]]:
    found = []
    for number in _NUMBER.finditer(text):
        found.append(number)
        if len(found) > NUMBERS_COUNT_MAX:
            del found[NUMBERS_COUNT_MAX // 2]
    return found


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def in_checkout(path: str, workspace: str) -> str:
    """The path relative to the checkout, if it is in it."""
    path = path.replace("\\", "/")
    plain = normpath(path.removeprefix(f"{workspace}/")) if path else ""
    return plain[-NAME_CHARACTERS_MAX:]
