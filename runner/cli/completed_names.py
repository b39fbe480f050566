"""Which names a shell is offered while it completes a word."""

import re
from collections.abc import Iterable

NAMES_COUNT_MAX = 200
_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
"""Shells put a name into the line as it is. One with another character could be a command there."""


def fitting(names: Iterable[str], incomplete: str) -> list[str]:
    """The names that begin like this and that no shell takes for more than a name, each once, and not too many."""
    found = dict.fromkeys(name for name in map(str, names) if name.startswith(incomplete) and _SAFE.fullmatch(name))
    return list(found)[:NAMES_COUNT_MAX]
