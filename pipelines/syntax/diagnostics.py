"""Collects the problems of one file while it is processed, so that all of them are reported at once."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import NamedTuple

from pipelines.problem import Level, Problem

PROBLEMS_COUNT_MAX = 200
NEAR_WORDS_COUNT_MAX = 100
_LENGTH_DIFFERENCE_MAX = 3


class Place(NamedTuple):
    """A position in a file. Both numbers count from 1.

    ``fragment`` is the path of the fragment that it is in, empty for the pipeline file itself; ``included_at`` are the
    places of the includes that lead there.
    """

    line: int
    column: int
    fragment: str = ""
    included_at: str = ""


WHOLE_FILE = Place(1, 1)
"""The place of what is wrong with the file as a whole: its beginning, so that an editor can go there."""


class Diagnostics:
    """The problems of one file, in the order in which they were found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.failed = False
        self._found: dict[Problem, None] = {}
        self._seen: set[Place] = set()
        self._values: Mapping[Place, str] = {}

    @property
    def problems(self) -> list[Problem]:
        """The problems, each once, in the order in which they were found."""
        return list(self._found)

    @property
    def full(self) -> bool:
        """True when no further problem is kept: code that only looks for more may stop."""
        return len(self._found) >= PROBLEMS_COUNT_MAX

    def first_time(self, place: Place) -> bool:
        """True at the first call for this place. The same text is read for several triggers, to be warned of once."""
        first = place not in self._seen
        self._seen.add(place)
        return first

    @contextmanager
    def with_values(self, values: Mapping[Place, str]) -> Iterator[None]:
        """Meanwhile an error at one of these places also says what stands there: it is not in the file."""
        self._values = values
        try:
            yield
        finally:
            self._values = {}

    def adopt(self, others: Iterable[Problem]) -> None:
        """Takes over problems of the same file."""
        for each in others:
            self._add(Place(each.line, each.column), each.message, each.hint, each.level)

    def error(self, place: Place, message: str, hint: str = "") -> None:
        """The file cannot run like this."""
        if said := self._values.get(place):
            message += f"; here is {said}"
        self._add(place, message, hint, Level.ERROR)

    def warning(self, place: Place, message: str, hint: str = "") -> None:
        """The file runs, though perhaps not as its author expects."""
        self._add(place, message, hint, Level.WARNING)

    def hint(self, place: Place, message: str, hint: str = "") -> None:
        """The file runs as intended, but could be better. Only lint gives hints."""
        self._add(place, message, hint, Level.HINT)

    def _add(self, place: Place, message: str, hint: str, level: Level) -> None:
        self.failed = self.failed or level is Level.ERROR
        if place.included_at:
            message += f" (included at {place.included_at})"
        file = place.fragment or self.file
        if not self.full:  # a dict: merged parts and matrix cells are read more than once
            self._found[Problem(file, place.line, place.column, message, hint, level)] = None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint with the known word nearest to ``word``, or an empty text."""
    folded = word.casefold()
    by_folded = {name.casefold(): name for name in known}
    if len(by_folded) > NEAR_WORDS_COUNT_MAX:  # comparing is slow, and a hostile file has many names
        alike = [name for name in by_folded if abs(len(name) - len(folded)) <= _LENGTH_DIFFERENCE_MAX]
        same_start = [name for name in alike if name[:1] == folded[:1]]
        by_folded = {name: by_folded[name] for name in (same_start or alike)[:NEAR_WORDS_COUNT_MAX]}
    near = get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    return f"did you mean '{by_folded[near[0]]}'?" if near else ""
