"""Texts of reports, made harmless: without escape sequences and control characters, and not too long."""

import re

from runner.logs.ansi import without_escapes

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_NOT_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CUT = "\n[...]\n"


def one_line(text: str, characters_max: int) -> str:
    """The text on one line, cut to so many characters."""
    if len(text) <= characters_max and text.isprintable():
        return text
    short = without_escapes(text[: 4 * characters_max])
    line = _CONTROLS.sub(" ", short).strip()
    return line if len(line) <= characters_max else f"{line[: characters_max - 1]}…"


def plain_text(text: str) -> str:
    """The text with its lines and tabs, and no other control characters."""
    return _NOT_LINES.sub("", without_escapes(text.replace("\r\n", "\n"))).strip("\n")


class BoundedText:
    """Collects a text that may be long, and keeps its beginning and its end."""

    def __init__(self, characters_max: int) -> None:
        self._first_max = characters_max * 5 // 8
        self._last_max = characters_max - self._first_max - len(_CUT)
        self._first, self._last, self._cut = "", "", False

    def add(self, data: str) -> None:
        """Adds a part."""
        room = self._first_max - len(self._first)
        if room > 0:
            self._first += data[:room]
            data = data[room:]
        if data:
            last = self._last + data[-2 * self._last_max :]
            self._cut = self._cut or len(self._last) + len(data) > len(_CUT) + self._last_max
            self._last = last[-(self._last_max + len(_CUT)) :]

    def take(self) -> str:
        """The text, and nothing is kept of it."""
        text = self._first + (_CUT + self._last[len(_CUT) :] if self._cut else self._last)
        self._first, self._last, self._cut = "", "", False
        return text
