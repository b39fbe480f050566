"""Glob patterns: ``*`` stops at ``/``, ``**`` does not, ``?``, ``[a-z]``, ``{a,b}``.

The matcher follows all possible positions at once, without backtracking, so that no pattern is slow.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

PATTERN_CHARACTERS_MAX = 2000
ALTERNATIVES_COUNT_MAX = 64
PATTERNS_KEPT_COUNT_MAX = 64
WORK_CHARACTERS_MAX = 4_000_000  # pattern parts times characters of the text

Positions = set[int]


class BadPatternError(ValueError):
    """The pattern is malformed; the text says why."""


class _One(NamedTuple):
    """A single character that ``pattern`` matches."""

    pattern: re.Pattern[str]

    def step(self, text: str, positions: Positions) -> Positions:
        return {i + 1 for i in positions if i < len(text) and self.pattern.match(text[i])}


class _Text(NamedTuple):
    """Plain text."""

    text: str

    def step(self, text: str, positions: Positions) -> Positions:
        return {i + len(self.text) for i in positions if text.startswith(self.text, i)}


class _AnyText(NamedTuple):
    """Any number of characters, also none, without ``stop``."""

    stop: str = ""

    def step(self, text: str, positions: Positions) -> Positions:
        found: Positions = set()
        for start in sorted(positions):
            if start in found:
                continue
            end = text.find(self.stop, start) if self.stop else -1
            found.update(range(start, (len(text) if end < 0 else end) + 1))
        return found


class _Folders:
    """``**/``: any number of folders, also none."""

    def step(self, text: str, positions: Positions) -> Positions:
        first = min(positions, default=len(text))
        return positions | {i + 1 for i in range(first, len(text)) if text[i] == "/"}


class _Below:
    """``/**`` at the end: the folder itself and all below it."""

    def step(self, text: str, positions: Positions) -> Positions:
        return {len(text) for i in positions if i == len(text) or text[i] == "/"}


_Token = _One | _Text | _AnyText | _Folders | _Below
_SPECIAL = re.compile(r"[\\*?\[{]")

_PIECE = re.compile(
    r"\\(?P<literal>.)|(?P<set>\[[!^]?\]?(?:\\.|[^\]\\])*\])|(?P<stars>\*+)|(?P<any>\?)|(?P<char>[^\[\\])", re.DOTALL
)


def matches(pattern: str, text: str) -> bool:
    """Does the whole of ``text`` match ``pattern``? Raises BadPatternError."""
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise BadPatternError(f"a pattern has at most {PATTERN_CHARACTERS_MAX} characters")
    if not _SPECIAL.search(pattern):
        return pattern == text
    return any(_match(tokens, text) for tokens in _choices(pattern))


@lru_cache(maxsize=PATTERNS_KEPT_COUNT_MAX)
def _choices(pattern: str) -> tuple[list[_Token], ...]:
    """The tokens of every alternative. Cached: a few patterns are compared with many texts."""
    return tuple(_tokens(choice) for choice in expand_braces(pattern))


def _match(tokens: list[_Token], text: str) -> bool:
    return len(text) in _ends(tokens, text)


def _ends(tokens: list[_Token], text: str) -> Positions:
    """Every position at which a match of all tokens from the start of ``text`` may end."""
    if len(tokens) * len(text) > WORK_CHARACTERS_MAX:
        raise BadPatternError("the pattern and the text that it is compared with are too long")
    positions = {0}
    for token in tokens:
        positions = token.step(text, positions)
        if not positions:
            break
    return positions


def prefix_lengths(pattern: str, text: str, *, backwards: bool = False) -> Positions:
    """The lengths of all prefixes (or suffixes) of ``text`` that match. Here ``*`` matches ``/`` too, as in a shell."""
    try:
        tokens = _tokens(pattern, separator="")
        found = _ends(_backwards(tokens), text[::-1]) if backwards else _ends(tokens, text)
    except BadPatternError:
        return set()
    return found - {0}


def _backwards(tokens: list[_Token]) -> list[_Token]:
    return [_Text(token.text[::-1]) if isinstance(token, _Text) else token for token in reversed(tokens)]


def _tokens(pattern: str, separator: str = "/") -> list[_Token]:
    tokens: list[_Token] = []
    end = 0
    while piece := _PIECE.match(pattern, end):
        start, end = piece.span()
        if piece["stars"]:
            token, end = _stars(pattern, start, end, separator)
            if isinstance(token, _Below):
                _drop_slash(tokens)
            tokens.append(token)
        elif piece["set"] or piece["any"]:
            tokens.append(_One(_single(piece, separator)))
        else:
            char = piece["literal"] or piece["char"]
            before = tokens.pop().text if tokens and isinstance(tokens[-1], _Text) else ""  # type: ignore[union-attr]
            tokens.append(_Text(before + char))
    if end < len(pattern):
        raise BadPatternError(f"'{pattern[end]}' is not closed in the pattern '{pattern}'")
    return tokens


def _drop_slash(tokens: list[_Token]) -> None:
    """Removes the '/' before a final ``**``: the folder itself matches too."""
    last = tokens.pop()
    if isinstance(last, _Text) and last.text != "/":
        tokens.append(_Text(last.text[:-1]))


def _stars(pattern: str, start: int, end: int, separator: str) -> tuple[_Token, int]:
    """The token of the stars at ``start``, and where the pattern goes on. ``**`` must be a whole path component."""
    whole = (
        end - start > 1
        and separator
        and pattern[start - 1 : start] in {"", "/"}
        and pattern[end : end + 1] in {"", "/"}
    )
    if not whole:
        return _AnyText(separator), end
    if end < len(pattern):
        return _Folders(), end + 1
    return (_Below() if start else _AnyText()), end


def _single(piece: re.Match[str], separator: str) -> re.Pattern[str]:
    if piece["any"]:
        return re.compile(f"[^{separator}]" if separator else ".", re.DOTALL)
    body = piece["set"][1:-1]
    negated = body[:1] in {"!", "^"}
    inner = "".join(_set_part(part) for part in re.findall(r"\\.|.", body[negated:], re.DOTALL))
    try:
        return re.compile(f"[{'^' if negated else ''}{inner}]")
    except re.error as error:
        raise BadPatternError(f"'{piece['set']}' is not a set of characters: {error}") from error


def _set_part(part: str) -> str:
    return part if part == "-" else re.escape(part[-1])


def expand_braces(pattern: str) -> Iterator[str]:
    """The patterns that ``{a,b}`` stands for, at most ALTERNATIVES_COUNT_MAX of them. Raises BadPatternError."""
    todo, found = [pattern], 0
    while todo:
        current = todo.pop()
        opened = _innermost(current)
        if opened is None:
            found += 1
            yield current
            continue
        start, end = opened
        choices = current[start + 1 : end].split(",")
        if found + len(todo) + len(choices) > ALTERNATIVES_COUNT_MAX:
            raise BadPatternError(f"the pattern '{pattern}' has more than {ALTERNATIVES_COUNT_MAX} alternatives")
        todo += [current[:start] + choice + current[end + 1 :] for choice in reversed(choices)]


def _innermost(pattern: str) -> tuple[int, int] | None:
    """The first ``{...}`` that holds no other, outside of sets and escapes."""
    start = None
    for token in re.finditer(r"\\.|\[[!^]?\]?[^\]]*\]|[{}]", pattern, re.DOTALL):
        if token[0] == "{":
            start = token.start()
        elif token[0] == "}" and start is not None:
            return start, token.start()
    if start is not None:
        raise BadPatternError(f"'{{' is not closed in the pattern '{pattern}'")
    return None
