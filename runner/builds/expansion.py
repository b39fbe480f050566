"""Bounds how long the variables of a Dockerfile become: values that double each other would take all memory.

BuildKit evaluates them inside the engine, without a limit, and goes on when the build is canceled. So the length is
computed before, from lengths alone, and rather too high than too low.
"""

import re
from collections.abc import Iterable, Mapping

EXPANDED_BYTES_MAX = 16 * 1024 * 1024
UNKNOWN_BYTES = 1024
"""What a variable that only the base image sets counts for."""
_NOT_EXPANDED = frozenset({"RUN", "CMD", "ENTRYPOINT", "SHELL", "HEALTHCHECK", "MAINTAINER"})
_REFERENCE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_REPLACEMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)/([^}]*)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?==|\s|$)")
_PAIR = re.compile(r"""\s*([A-Za-z_][A-Za-z0-9_]*)=((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*)(?=\s|$)""")


def expanded_bytes(instructions: Iterable[tuple[str, str]], args: Mapping[str, str]) -> int:
    """At most so many bytes have all instructions together, with their variables replaced.

    Stops counting beyond the limit.
    """
    sizes = {name: len(value.encode()) for name, value in args.items()}
    total = 0
    for instruction, rest in instructions:
        if instruction in _NOT_EXPANDED:
            continue
        total += _size(rest, sizes)
        if total > EXPANDED_BYTES_MAX:
            break
        if instruction in {"ENV", "ARG"}:
            for name, value in _assigned(rest):
                sizes[name] = max(sizes.get(name, 0), _size(value, sizes))
    return total


def _size(text: str, sizes: Mapping[str, int]) -> int:
    size = _plain_size(text, sizes)
    # Each character may be replaced by the whole word.
    for name, word in _REPLACEMENT.findall(text):
        size += sizes.get(name, UNKNOWN_BYTES) * _plain_size(word, sizes)
    return size


def _plain_size(text: str, sizes: Mapping[str, int]) -> int:
    references = sum(sizes.get(name, UNKNOWN_BYTES) for name in _REFERENCE.findall(text))
    return len(text.encode(errors="replace")) + references


def _assigned(rest: str) -> list[tuple[str, str]]:
    """The variables that ENV or ARG sets, each with its value, or with the whole line where that is not clear."""
    pairs = list(_PAIR.finditer(rest))
    if "".join(pair[0] for pair in pairs).strip() == rest.strip():
        return [(pair[1], pair[2]) for pair in pairs]
    return [(name, rest) for name in _NAME.findall(rest)]
