"""The search for patterns finds what a slow one finds, and its work for a byte of text has a limit."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.logs.patterns import Patterns

pytestmark = pytest.mark.slow

LETTERS = st.sampled_from([b"a", b"b"])
UNITS = st.lists(LETTERS, min_size=1, max_size=5).map(b"".join)
REPEATED = st.tuples(UNITS, st.integers(1, 80), UNITS).map(lambda parts: (parts[0] * parts[1] + parts[2])[:256])
"""Bytes that repeat themselves, with an end that may go on with the repetition or not."""


def intervals(matches: list[tuple[int, int]], position: int = 0) -> list[tuple[int, int]]:
    """The matches, those that overlap joined into one, and those that only touch apart."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(matches):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def clipped(found: list[tuple[int, int]], end: int) -> list[tuple[int, int]]:
    return [(start, min(stop, end)) for start, stop in found if start < end]


def slowly(patterns: list[bytes], text: bytes) -> list[tuple[int, int]]:
    places = range(len(text))
    return [(at, at + len(each)) for each in set(patterns) for at in places if text.startswith(each, at)]


@given(st.lists(REPEATED, min_size=1, max_size=6), st.lists(REPEATED, max_size=12).map(b"".join))
def test_it_covers_what_a_slow_search_covers(patterns: list[bytes], text: bytes) -> None:
    patterns = [each for each in patterns if len(each) >= 2] or [b"ab"]
    found = list(Patterns(patterns).matches(text, len(text)))
    assert found == sorted(found, key=lambda match: match[0])
    assert intervals(found) == intervals(slowly(patterns, text))


@given(st.lists(REPEATED, min_size=1, max_size=4), st.lists(REPEATED, min_size=1, max_size=3), st.integers(1, 700))
def test_a_text_that_repeats_itself_is_covered_as_any_other(
    patterns: list[bytes], parts: list[bytes], dots: int
) -> None:
    """Its pieces are remembered: what was found in one counts for those that are the same, and for no other."""
    patterns = [each for each in patterns if len(each) >= 2] or [b"ab"]
    text = b"".join(parts) * (6_000 // len(b"".join(parts))) + b"." * dots + b"".join(parts) * 20
    search = Patterns(patterns)
    for end in (len(text), len(text) - 1_500):
        found, wanted = search.matches(text, end), [match for match in slowly(patterns, text) if match[0] < end]
        # A repetition may be found to its end at once, also where it goes on after the end.
        assert clipped(intervals(list(found)), end) == clipped(intervals(wanted), end)


@given(st.lists(REPEATED, min_size=1, max_size=6), st.lists(REPEATED, max_size=4).map(b"".join))
def test_it_knows_from_where_on_more_text_could_change_something(patterns: list[bytes], text: bytes) -> None:
    begun = [at for at in range(len(text)) if any(_goes_on(each, text[at:]) for each in patterns)]
    assert Patterns(patterns).undecided_from(text) == min(begun, default=len(text))


def _goes_on(pattern: bytes, rest: bytes) -> bool:
    return len(pattern) > len(rest) and pattern.startswith(rest)


def test_matches_across_the_pieces_that_are_searched_are_found() -> None:
    """Wherever a match stands in a text of several pieces, also across the end of a piece or at the very end."""
    patterns, length = [b"0123456789abcdef", b"cdef", b"z" * 40], 9_000
    for at in (*range(4_070, 4_100), *range(8_170, 8_200), length - 16):
        text = bytearray(b"." * length)
        text[at : at + 16] = b"0123456789abcdef"
        assert intervals(list(Patterns(patterns).matches(bytes(text), length))) == [(at, at + 16)]


def test_after_a_long_repetition_the_search_goes_on() -> None:
    text = b"." + b"z" * 20_000 + b"cdef" + b"z" * 39 + b"!" + b"z" * 40 + b"cdef."
    found = Patterns([b"z" * 40, b"cdef"]).matches(text, len(text))
    assert intervals(list(found)) == [(1, 20_001), (20_001, 20_005), (20_045, 20_085), (20_085, 20_089)]


def test_only_matches_that_begin_before_the_end_are_reported() -> None:
    patterns = Patterns([b"abcd"])
    assert list(patterns.matches(b"abcdabcd", 4)) == [(0, 4)]
    assert list(patterns.matches(b"abcdabcd", 5)) == [(0, 4), (4, 8)]


def test_of_ten_thousand_patterns_with_one_beginning_the_longest_is_found() -> None:
    order = random.Random(7)
    tails = {order.randbytes(order.randrange(1, 60)) for _ in range(10_000)}
    patterns = [b"the same beginning " + tail for tail in tails]
    search = Patterns(patterns)
    for pattern in order.sample(patterns, 200):
        text = pattern + b"\0"
        longest = max(len(each) for each in patterns if text.startswith(each))
        assert list(search.matches(text, 1)) == [(0, longest)]
