"""Regular expressions for ``matches`` in ``when.evaluate``, in bounded time whatever the pattern is.

Every part maps the positions where it may start to those where it may end. There is no backtracking.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, NoReturn

PATTERN_CHARACTERS_MAX = 500
REPEAT_COUNT_MAX = 200
WORK_POSITIONS_MAX = 1_000_000

Positions = frozenset[int]


class BadRegexError(ValueError):
    """The expression is malformed, not supported, or too expensive; the text says why."""


class _Subject:
    def __init__(self, text: str) -> None:
        self.text, self.work = text, 0

    def spend(self, positions: int) -> None:
        self.work += positions + 1
        if self.work > WORK_POSITIONS_MAX:
            raise BadRegexError("this regular expression is too costly for this text")


class _Character(NamedTuple):
    pattern: re.Pattern[str]

    def ends(self, subject: _Subject, starts: Positions) -> Positions:
        subject.spend(len(starts))
        return frozenset(
            end for start in starts if (found := self.pattern.match(subject.text, start)) for end in [found.end()]
        )


class _Sequence(NamedTuple):
    parts: "tuple[_Part, ...]"

    def ends(self, subject: _Subject, starts: Positions) -> Positions:
        for part in self.parts:
            starts = part.ends(subject, starts)
        return starts


class _Choice(NamedTuple):
    parts: "tuple[_Part, ...]"

    def ends(self, subject: _Subject, starts: Positions) -> Positions:
        return frozenset().union(*(part.ends(subject, starts) for part in self.parts))


class _Repeat(NamedTuple):
    part: "_Part"
    low: int
    high: int | None

    def ends(self, subject: _Subject, starts: Positions) -> Positions:
        for _ in range(self.low):
            starts = self.part.ends(subject, starts)
        seen, fresh, times = set(starts), starts, self.low
        while fresh and (self.high is None or times < self.high):
            fresh = self.part.ends(subject, fresh) - seen
            seen |= fresh
            times += 1
        return frozenset(seen)


_Part = _Character | _Sequence | _Choice | _Repeat


def search(pattern: str, text: str) -> bool:
    """Is there a match anywhere in ``text``? Raises BadRegexError."""
    return _search(_parsed(pattern, ignore_case=False), text)


def compiled(pattern: str, *, ignore_case: bool) -> Callable[[str], bool]:
    """As ``search``, for many texts of some thousand characters. Raises BadRegexError, and so does what it returns.

    Where backtracking cannot become slow, Python's own expressions do the work: they are a hundred times as fast.
    """
    part = _parsed(pattern, ignore_case=ignore_case)
    if (source := _source(part)) is None:
        return partial(_search, part)
    fast = re.compile(source)
    return lambda text: fast.search(text) is not None


def _parsed(pattern: str, *, ignore_case: bool) -> _Part:
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise BadRegexError(f"this regular expression is longer than {PATTERN_CHARACTERS_MAX} characters")
    return _Parser(pattern, ignore_case=ignore_case).parse()


def _search(part: _Part, text: str) -> bool:
    return bool(part.ends(_Subject(text), frozenset(range(len(text) + 1))))


def _source(part: _Part) -> str | None:
    """The expression for ``re``: alternatives of characters, at most one in each repeated any number of times."""
    alternatives = part.parts if isinstance(part, _Choice) else (part,)
    sources = [_source_of_sequence(each) for each in alternatives]
    known = [source for source in sources if source is not None]
    return "|".join(known) if len(known) == len(sources) else None


def _source_of_sequence(sequence: _Part) -> str | None:
    source, repeats = "", 0
    for part in sequence.parts if isinstance(sequence, _Sequence) else (sequence,):
        character = part.part if isinstance(part, _Repeat) else part
        if not isinstance(character, _Character):
            return None
        source += _flagged(character)
        if isinstance(part, _Repeat):
            source += f"{{{part.low},{'' if part.high is None else part.high}}}"
            repeats += 1
    return source if repeats <= 1 else None


def _flagged(character: _Character) -> str:
    letters = "".join(letter for letter, flag in _FLAGS.items() if character.pattern.flags & flag)
    return f"(?{letters}:{character.pattern.pattern})" if letters else f"(?:{character.pattern.pattern})"


_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
_SIMPLE = re.compile(r"\\[dDwWsSbBAz]|\\[^A-Za-z0-9]|\\[ntr]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[\](){}*+?|]", re.DOTALL)
_COUNT = re.compile(r"\{([0-9]{1,4})(,?)([0-9]{0,4})\}")


class _Parser:
    def __init__(self, pattern: str, *, ignore_case: bool) -> None:
        self.pattern, self.index = pattern, 0
        self.flags = re.IGNORECASE if ignore_case else re.RegexFlag(0)

    def parse(self) -> _Part:
        flags = re.match(r"\(\?([ims]+)\)", self.pattern)
        if flags:
            self.index = flags.end()
            for letter in flags[1]:
                self.flags |= _FLAGS[letter]
        part = self.choice()
        if self.index < len(self.pattern):
            self.refuse()
        return part

    def refuse(self) -> NoReturn:
        rest = self.pattern[self.index : self.index + 10]
        where = f"'{rest}'" if rest else "its end"
        raise BadRegexError(f"the regular expression '{self.pattern}' is not understood at {where}")

    def take(self, sign: str) -> bool:
        found = self.pattern.startswith(sign, self.index)
        self.index += len(sign) * found
        return found

    def choice(self) -> _Part:
        parts = [self.sequence()]
        while self.take("|"):
            parts.append(self.sequence())
        return parts[0] if len(parts) == 1 else _Choice(tuple(parts))

    def sequence(self) -> _Part:
        parts: list[_Part] = []
        while self.index < len(self.pattern) and self.pattern[self.index] not in "|)":
            parts.append(self.repeated(self.atom()))
        return _Sequence(tuple(parts))

    def atom(self) -> _Part:
        if self.take("("):
            if self.take("?") and not self.take(":"):
                self.refuse()
            part = self.choice()
            if not self.take(")"):
                self.refuse()
            return part
        found = _SIMPLE.match(self.pattern, self.index)
        if found is None:
            self.refuse()
        self.index = found.end()
        try:
            return _Character(re.compile({"$": r"\Z", r"\z": r"\Z"}.get(found[0], found[0]), self.flags))
        except re.error as error:
            raise BadRegexError(f"'{found[0]}' in a regular expression is wrong: {error}") from error

    def repeated(self, part: _Part) -> _Part:
        if self.take("*"):
            part = _Repeat(part, 0, None)
        elif self.take("+"):
            part = _Repeat(part, 1, None)
        elif self.take("?"):
            part = _Repeat(part, 0, 1)
        elif found := _COUNT.match(self.pattern, self.index):
            self.index = found.end()
            part = self.counted(part, found)
        else:
            return part
        self.take("?")  # lazy: makes no difference, because only the existence of a match counts
        return part

    def counted(self, part: _Part, found: re.Match[str]) -> _Part:
        low = int(found[1])
        high = (int(found[3]) if found[3] else None) if found[2] else low
        if max(low, high or 0) > REPEAT_COUNT_MAX or (high is not None and high < low):
            raise BadRegexError(f"the repetition '{found[0]}' is not from 0 to {REPEAT_COUNT_MAX}")
        return _Repeat(part, low, high)
