"""A set of byte patterns, searched for in time that is linear in the text, whatever the patterns and the text are.

Rust finds the places where a pattern may begin, by its first bytes (its head). Only there Python looks for the longest
pattern. Three things keep that linear: a pattern has a limited length; the patterns with the same head are sorted, so
that bisection finds the longest; and where a pattern that repeats itself ("aaaa") meets a text that repeats itself,
one comparison finds the end of the repetition. A text full of matches mostly repeats itself in some way: what was
found in a piece of it is remembered.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby
from operator import itemgetter

from ahocorasick_rs import BytesAhoCorasick, MatchKind

HEAD_BYTES = 8
_SEARCH_BYTES = 1024
"""The text is searched in pieces of this size: a repetition that covers the next pieces saves their search."""
_MANY_HEADS = 32
"""A piece with more heads than this is remembered."""
_PIECES_MAX = 2_000
"""So many pieces are remembered: 3 MB."""

_Heads = list[tuple[int, int, int]]
"""As Rust finds them: (which, start, end)."""


class _Group:
    """The patterns with one head, sorted."""

    __slots__ = ("__dict__", "bytes_max", "patterns")

    def __init__(self, patterns: list[bytes]) -> None:
        self.patterns = patterns
        self.bytes_max = max(map(len, patterns))

    def longest_end(self, text: bytes, start: int) -> int:
        """The end of the longest pattern at ``start``, and of the repetition that it begins; 0 if there is none."""
        patterns, rest = self.patterns, text[start : start + self.bytes_max]
        at = bisect_right(patterns, rest) - 1 if len(patterns) > 1 else 0
        # In sorted order, each pattern that the text begins with is also the beginning of this one, its neighbour.
        if at < 0:
            return 0
        neighbour = patterns[at]
        if rest.startswith(neighbour):
            period = self._periods.get(neighbour, -1)
            if period < 0:
                period = self._periods[neighbour] = _period(neighbour)
            return _end_of_repetition(text, start, len(neighbour), period) if period else start + len(neighbour)
        if len(patterns) == 1:
            return 0
        lengths = self._prefixes[at]
        fitting = bisect_right(lengths, _common_bytes(neighbour, rest) - 1)
        return start + lengths[fitting - 1] + 1 if fitting else 0

    @cached_property
    def _periods(self) -> dict[bytes, int]:
        return {}

    @cached_property
    def _prefixes(self) -> list[bytes]:
        """For each pattern the lengths, less one, of those patterns that it begins with; itself is the last."""
        found: list[bytes] = []
        ancestors: list[tuple[bytes, bytes]] = []
        for pattern in self.patterns:
            while ancestors and not pattern.startswith(ancestors[-1][0]):
                ancestors.pop()
            lengths = (ancestors[-1][1] if ancestors else b"") + bytes([len(pattern) - 1])
            ancestors.append((pattern, lengths))
            found.append(lengths)
        return found


class Patterns:
    """The patterns, which have 1 to 256 bytes. Immutable but for what it remembers of their repetitions."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        by_head = groupby(sorted(set(patterns)), itemgetter(slice(HEAD_BYTES)))
        self._groups = {head: _Group(list(alike)) for head, alike in by_head}
        self._bytes_max = max((group.bytes_max for group in self._groups.values()), default=0)
        self._heads = list(self._groups)
        self._head_lengths = sorted({len(head) for head in self._heads}, reverse=True)
        self._search = BytesAhoCorasick(self._heads, matchkind=MatchKind.LeftmostLongest)
        self._remembered: dict[bytes, list[tuple[int, int]]] = {}

    def matches(self, text: bytes, end: int) -> Iterator[tuple[int, int]]:
        """Pieces of ``text`` that patterns cover, as (start, end), by their start, which is before ``end``.

        Not every match is among them, but together they cover the same, and those that overlap do so here.
        """
        at, covered = 0, 0
        while at < end:
            piece_end = min(at + _SEARCH_BYTES, len(text))
            next_at = piece_end if piece_end == len(text) else piece_end - HEAD_BYTES + 1
            heads = self._search.find_matches_as_indexes(text[at:piece_end])
            for match in self._in_piece(text, at, min(next_at, end), heads, covered):
                yield match
                covered = max(covered, match[1])
            at = max(next_at, covered - self._bytes_max + 1)

    def _in_piece(self, text: bytes, at: int, end: int, heads: _Heads, covered: int) -> Iterable[tuple[int, int]]:
        """The matches that begin at ``at`` or later and before ``end``."""
        context_end = end + self._bytes_max
        if len(heads) <= _MANY_HEADS or context_end > len(text):
            return self._find(text, at, end, heads, covered)
        first = at + heads[0][1]
        repetition_end = self._longest_end(text, first, 0)
        if repetition_end >= context_end:
            return [(first, repetition_end)]
        # Nothing after the context has to do with what begins before the end.
        context = text[at:context_end]
        found = self._remembered.get(context)
        if found is None:
            found = _joined(self._find(context, 0, end - at, heads, 0))
            if len(self._remembered) >= _PIECES_MAX:
                self._remembered.clear()
            self._remembered[context] = found
        return [(at + start, at + stop) for start, stop in found]

    def _find(self, text: bytes, at: int, end: int, heads: _Heads, covered: int) -> Iterator[tuple[int, int]]:
        for start in _candidates(heads, at, end):
            # What begins earlier ends before ``covered``: it would change nothing.
            if start + self._bytes_max > covered and (match_end := self._longest_end(text, start, covered)):
                yield start, match_end
                covered = max(covered, match_end)
                if covered - self._bytes_max >= end:
                    return

    def undecided_from(self, text: bytes) -> int:
        """Where the first beginning of a pattern stands that goes on after the end of ``text``; else its end."""
        first = max(0, len(text) - self._bytes_max + 1)
        tail = max(first, len(text) - HEAD_BYTES + 1)
        for start in _candidates(self._search.find_matches_as_indexes(text[first:]), first, tail):
            if self._begins(text[start:]):
                return start
        return next((start for start in range(tail, len(text)) if self._begins(text[start:])), len(text))

    def _longest_end(self, text: bytes, start: int, covered: int) -> int:
        """The end of the longest match at ``start``, and of a repetition; 0 if none goes beyond ``covered``."""
        for length in self._head_lengths:
            group = self._groups.get(text[start : start + length])
            if group and start + group.bytes_max > covered and (end := group.longest_end(text, start)):
                return end
        return 0

    def _begins(self, rest: bytes) -> bool:
        """True if a pattern that is longer than ``rest`` begins with it."""
        group = self._groups.get(rest[:HEAD_BYTES]) if len(rest) >= HEAD_BYTES else None
        sorted_here = group.patterns if group else self._heads
        # In sorted order, longer ones that start with the rest come right after it.
        at = bisect_right(sorted_here, rest)
        return at < len(sorted_here) and sorted_here[at].startswith(rest)


def _candidates(heads: _Heads, offset: int, end: int) -> Iterator[int]:
    """Each place before ``end`` where a pattern's head stands. It may name others, too."""
    for _, start, stop in heads:
        # A head that overlaps the one found begins inside of it: what Rust finds begins first.
        yield from range(offset + start, min(offset + stop, end))


def _joined(matches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The matches, those that overlap joined into one."""
    joined: list[tuple[int, int]] = []
    for start, end in matches:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _period(pattern: bytes) -> int:
    """After how many bytes the pattern repeats itself, if it does so at least once; else 0."""
    shifts = range(1, len(pattern) // 2 + 1)
    return next((shift for shift in shifts if pattern.startswith(pattern[shift:])), 0)


def _common_bytes(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    length = min(len(one), len(other))
    differing = int.from_bytes(one[:length]) ^ int.from_bytes(other[:length])
    return length - (differing.bit_length() + 7) // 8


def _end_of_repetition(text: bytes, start: int, length: int, period: int) -> int:
    """The end of the last match in the repetition that begins with the match at ``start``."""
    end, step = start + length, period
    while step:
        if end + step <= len(text) and text[end : end + step] == text[end - period : end - period + step]:
            end, step = end + step, step * 2
        else:
            step //= 2
    return start + length + (end - start - length) // period * period
