"""What a check found."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """``warning``: it works, and something about it will surprise. ``problem``: something does not work."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and a sentence, with what to do where it is not well."""

    subject: str
    level: Level
    sentence: str


Check = Callable[[], list[Finding]]


def ok(subject: str, sentence: str) -> Finding:
    """All is well."""
    return Finding(subject, Level.OK, sentence)


def warning(subject: str, sentence: str) -> Finding:
    """It works all the same."""
    return Finding(subject, Level.WARNING, sentence)


def problem(subject: str, sentence: str) -> Finding:
    """Something does not work."""
    return Finding(subject, Level.PROBLEM, sentence)
