"""A step's output as people read it: escape sequences, control characters and lines that were drawn over."""

import re

# Colours and cursor movements, titles and links, strings for devices, character sets and resets; or a lone escape.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-Z\\^-~])?"
)
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_SILENT = re.compile("[\x07\x08]")
_CONTROLS = re.compile("[\x00-\x06\x0b-\x1a\x1c-\x1f\x7f-\x9f]")


def last_state(line: bytes) -> bytes:
    """What is left of a line that was drawn over with ``\\r``; one at its end stays, for more may come."""
    text = line.rstrip(b"\r")
    return text[text.rfind(b"\r") + 1 :] + line[len(text) :][-1:]


def without_escapes(text: str) -> str:
    """The text without colours, cursor movements and the like."""
    return _ESCAPES.sub("", text)


def harmless(text: str) -> str:
    """A line that may be printed on any terminal: it keeps its colours, and can do nothing else to it."""
    coloured = _ESCAPES.sub(lambda found: found[0] if _COLOURS.fullmatch(found[0]) else "", text)
    return _CONTROLS.sub("\ufffd", _SILENT.sub("", coloured))
