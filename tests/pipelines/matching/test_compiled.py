"""Regular expressions for many texts: the fast way and the safe way find the same."""

import re

import pytest

from pipelines.matching.regex import BadRegexError, compiled, search

FAST = [
    "",
    "error",
    "^err",
    "r$",
    "[ou]+t",
    "(?i)ERR",
    "a|b.c|^d",
    "e.{2,3}r",
    "x{2}",
    r"\d\d:\d\d",
    "a*",
    r"\bout\b",
    "(?s)a.b",
]
SAFE = ["(er)+", "a*b*", "(a|b)(c|d)", "o?u?t?"]
TEXTS = ["", "error", "an ERROR", "at 12:30", "out", "about", "aXb", "a\nb", "bxc", "dd", "xx", "ac"]


@pytest.mark.parametrize("pattern", FAST + SAFE)
def test_both_ways_find_the_same(pattern: str) -> None:
    matches, ignoring = compiled(pattern, ignore_case=False), compiled(pattern, ignore_case=True)
    for text in TEXTS:
        assert matches(text) == search(pattern, text) == bool(re.search(pattern.replace("$", r"\Z"), text)), text
        assert ignoring(text) == bool(re.search(pattern.replace("$", r"\Z"), text, re.IGNORECASE)), text


def test_what_could_be_slow_is_not_given_to_python() -> None:
    """Python's own expressions need time that grows exponentially."""
    for pattern in ("(a*)*b", "a?" * 60 + "a" * 60 + "b", "(a|a)" * 60 + "b"):
        assert not compiled(pattern, ignore_case=False)("a" * 60)


def test_what_cannot_be_used_is_refused() -> None:
    for pattern, why in (("(", "not understood"), ("x" * 501, "longer than 500 characters")):
        with pytest.raises(BadRegexError, match=why):
            compiled(pattern, ignore_case=True)
    assert compiled("x" * 500, ignore_case=True)("X" * 500)
