"""Foreign text as people should see it: characters that hide, or that reorder what stands beside them, as escapes.

Titles, authors, branches and names of steps come from repositories, also from forks. In a page they must not make what
a maintainer approves read otherwise; in a terminal they must not move the cursor.
"""

import re
import unicodedata

_ZERO_WIDTH_JOINER = "\u200d"
_SELECTORS = "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"

# Control characters but tabs and line ends, marks of direction, characters without width, fillers that look like a
# space, line separators, halves of surrogate pairs, and invisible tags.
_HIDDEN = re.compile(
    r"\r(?!\n)|"
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_BREAKS = re.compile(r"[\t\r\n]")


def visible(text: str) -> str:
    """The text, where hidden characters are written as ``\\x1b`` or ``\\u202e``. Keeps tabs and line ends."""
    return _HIDDEN.sub(_escape, text)


def visible_line(text: str) -> str:
    """As ``visible``, in one line and one column of a table: tabs and line ends are written as escapes, too."""
    return _BREAKS.sub(_escape, visible(text))


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if char == _ZERO_WIDTH_JOINER and _joins_pictures(found.string, found.start()):
        return char
    code = ord(char)
    if code <= 0xFF:  # noqa: PLR2004 - two digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - four digits


def _joins_pictures(text: str, at: int) -> bool:
    """True in the middle of one emoji that is made of several."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    return ((before in _SELECTORS and bool(before)) or _is_picture(before)) and _is_picture(after)


def _is_picture(char: str) -> bool:
    return bool(char) and unicodedata.category(char) == "So"
