"""Remarks about one imported file: what the new files do not say as the old one did."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.problem import Level, Problem
from pipelines.syntax.diagnostics import PROBLEMS_COUNT_MAX, WHOLE_FILE, Diagnostics, Place

NOTE = Level.HINT
"""The lowest level: the new file does the same in another way."""


class Remarks:
    """Collects remarks with their places, and their texts as comments for the part that is being converted."""

    def __init__(self, file: str) -> None:
        self.diagnostics = Diagnostics(file)
        self._comments: list[str] = []

    @property
    def problems(self) -> list[Problem]:
        """All remarks in the order of lines; the last says so where there are more than are kept."""
        found = sorted(self.diagnostics.problems, key=lambda each: (each.line, each.column))
        if self.diagnostics.full:
            text = f"there are more than {PROBLEMS_COUNT_MAX} remarks; the others are left out"
            found.append(Problem(self.diagnostics.file, *WHOLE_FILE[:2], text, level=Level.ERROR))
        return found

    def error(self, place: Place, message: str, hint: str = "") -> None:
        """Something essential is missing in the new file."""
        self.diagnostics.error(place, message, hint)
        self._comment("TODO", place, message, hint)

    def warning(self, place: Place, message: str, hint: str = "") -> None:
        """The new file may do something else than the old one."""
        self.diagnostics.warning(place, message, hint)
        self._comment("look", place, message, hint)

    def note(self, place: Place, message: str, hint: str = "") -> None:
        """The new file does the same in another way."""
        self.diagnostics.hint(place, message, hint)

    def _comment(self, word: str, place: Place, message: str, hint: str) -> None:
        text = f"{message}; {hint}" if hint else message
        of_file = f" of {place.fragment}" if place.fragment else ""
        self._comments.append(f"{word} (line {place.line}{of_file}): {text}")

    @contextmanager
    def comments(self) -> Iterator[list[str]]:
        """The comments of all remarks that are made meanwhile."""
        before, self._comments = self._comments, []
        try:
            yield self._comments
        finally:
            self._comments = before

    def no_pipeline(self, place: Place | None, message: str) -> None:
        """The file is none of its system."""
        self.diagnostics.error(place or WHOLE_FILE, message, "name the system with --from, or another file")
