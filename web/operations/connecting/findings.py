"""What a test of a repository's connection finds."""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """What a test of a connection found. What was not tested is no fault."""

    OK = "ok"
    MISSING = "MISSING"
    UNTESTED = "-"


@dataclass(frozen=True)
class Finding:
    """One thing that a connection needs."""

    what: str
    result: Result
    sentence: str
