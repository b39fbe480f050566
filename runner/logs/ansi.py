"""Makes terminal output readable: ANSI escape sequences, control characters, lines overwritten by carriage returns."""

import re

# CSI (colours, cursor), OSC (titles, links), device strings, character sets and resets; or a lone escape.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-Z\\^-~])?"
)
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_SILENT = re.compile("[\x07\x08]")
_CONTROLS = re.compile("[\x00-\x06\x0b-\x1a\x1c-\x1f\x7f-\x9f]")


def last_state(line: bytes) -> bytes:
    """The last state of a line overwritten with ``\\r``. A ``\\r`` at its end stays: more output may follow."""
    text = line.rstrip(b"\r")
    return text[text.rfind(b"\r") + 1 :] + line[len(text) :][-1:]


def without_escapes(text: str) -> str:
    """The text without colours, cursor movements and the like."""
    return _ESCAPES.sub("", text)


def harmless(text: str) -> str:
    """A line that is safe to print on a terminal: it keeps its colours and no other escape sequences."""
    coloured = _ESCAPES.sub(lambda found: found[0] if _COLOURS.fullmatch(found[0]) else "", text)
    return _CONTROLS.sub("\ufffd", _SILENT.sub("", coloured))
