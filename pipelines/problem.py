"""A problem in a pipeline file: where it is, what is wrong, what to write instead."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How much a problem matters: an error stops the run, a warning does not, a hint is shown by lint alone."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


class Problem(NamedTuple):
    """One problem. ``line`` and ``column`` count from 1; a problem of the file as a whole is at its beginning.

    ``excerpt``, if added by ``with_excerpts``, is the line of the source, and carets under the word.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    level: Level = Level.ERROR
    excerpt: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line, the same in lint, on the page, in the API and in a commit status."""
        text = f"{self.file}:{self.line}:{self.column}: {self.level}: {self.message}"
        return f"{text}; {self.hint}" if self.hint else text


class InvalidPipelineError(Exception):
    """The pipeline cannot run. ``problems`` are all that were found, in the order of files and lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def printable(text: str) -> str:
    """The text with control characters escaped, so that it cannot send escape sequences to a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
