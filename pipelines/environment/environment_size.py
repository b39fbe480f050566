"""How large the variables of a container may be: Linux refuses to start a program whose words or variables are larger.

Values of ours are made to fit, with a note in the log. Those that come from the pipeline file, or from a person, are
refused by name: a step must not run with half of what it was given.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

WORD_BYTES_MAX = 128 * 1024
"""One word of a command line, or one variable as NAME=VALUE, with the NUL that ends it."""
WORDS_BYTES_MAX = 2 * 1024 * 1024 - WORD_BYTES_MAX
"""All variables of a program together: the kernel's limit, less room for the words of its command line."""
OWN_VALUE_BYTES_MAX = WORD_BYTES_MAX - 64
"""A value of ours: it fits under each of the names that we give it."""
OWN_BYTES_MAX = 512 * 1024
"""The values of ours together, so that most of the room is the user's."""
FILES_COUNT_MAX = 500
"""Changed files in ``CI_PIPELINE_FILES``, as in Woodpecker: with more it is empty."""
_POINTER_BYTES = 8

_TEXTS = frozenset({"CI_COMMIT_MESSAGE", "CI_PREV_COMMIT_MESSAGE", "CI_PIPELINE_RELEASE_TITLE"})
"""Of these the beginning is of use. Others, such as a list or a URL, would be wrong."""


class Fitted(NamedTuple):
    """The variables of ours as containers get them, and a sentence for each that is not whole."""

    values: dict[str, str]
    notes: tuple[str, ...]


class TooLarge(NamedTuple):
    """A variable that no program could be started with; ``message`` and ``hint`` are the parts of a sentence."""

    name: str
    message: str
    hint: str


def byte_count(text: str) -> int:
    """The bytes of a text as a program gets it."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def word_bytes(name: str, value_bytes: int) -> int:
    """The bytes of NAME=VALUE with the NUL that ends it."""
    return byte_count(name) + value_bytes + 2


def fit_own(values: Mapping[str, str]) -> Fitted:
    """Shortens texts of ours that are too large, and empties the other values that are."""
    bound = OWN_VALUE_BYTES_MAX
    fitted = _fitted(values, bound)
    while sum(map(byte_count, fitted.values())) > OWN_BYTES_MAX:
        bound //= 2
        fitted = _fitted(values, bound)
    return Fitted(
        fitted, tuple(_note(name, values[name], fitted[name]) for name in values if fitted[name] != values[name])
    )


def _fitted(values: Mapping[str, str], bound: int) -> dict[str, str]:
    return {name: _fit(name, value, bound) for name, value in values.items()}


def _fit(name: str, value: str, bound: int) -> str:
    if byte_count(value) <= bound:
        return value
    if name not in _TEXTS:
        return ""
    return value.encode(errors="replace")[:bound].decode(errors="ignore")


def _note(name: str, whole: str, fitted: str) -> str:
    how = f"has only the first {byte_count(fitted):,}" if fitted else "is empty: it would have"
    many = f"of its {byte_count(whole):,} bytes" if fitted else f"{byte_count(whole):,} bytes"
    return f"{name} {how} {many}, and a program gets no larger variable; ask git for what is missing"


def too_large(sizes: Mapping[str, int]) -> Iterable[TooLarge]:
    """What is too large of variables with values of these many bytes."""
    hint = "put it into a file of the repository, or let the step make or fetch the file"
    words = {name: word_bytes(name, size) for name, size in sizes.items()}
    wrong = [name for name, size in words.items() if size > WORD_BYTES_MAX]
    for name in wrong:
        limit = f"has {words[name]:,} bytes with its name; a program gets at most {WORD_BYTES_MAX:,} in one"
        yield TooLarge(name, f"the variable {name} {limit}", hint)
    total = sum(words.values()) + _POINTER_BYTES * len(words)
    if not wrong and total > WORDS_BYTES_MAX:
        largest = max(words, key=lambda name: words[name])
        limit = f"have {total:,} bytes together; a program gets at most {WORDS_BYTES_MAX:,}"
        yield TooLarge(largest, f"the variables {limit}; the largest is {largest} with {words[largest]:,}", hint)


def is_word(text: str) -> bool:
    """Can this be one word of a command line?"""
    return byte_count(text) < WORD_BYTES_MAX
