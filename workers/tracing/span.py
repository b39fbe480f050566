"""Spans as values, and their ids, which every process computes alike: so spans of several processes make one trace."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | int
ATTRIBUTE_CHARS_MAX = 256


@dataclass(frozen=True)
class Trace:
    """The trace of one run. The database's installation and the time make it another one than that of any copy."""

    installation: str
    run_id: int
    created_ms: int

    @property
    def id(self) -> int:
        """128 bits, never 0."""
        return self._number(16, "trace")

    @property
    def root(self) -> int:
        """The id of the span of the run."""
        return self._number(8, "run")

    def job(self, job_id: int, origin: int) -> int:
        """The id of the span of a job's attempt; ``origin`` is the attempt that started its steps."""
        return self._number(8, "job", job_id, origin)

    def part(self, job_id: int, origin: int, name: str, number: int = 0) -> int:
        """The id of a span below that of the job."""
        return self._number(8, name, job_id, origin, number)

    def _number(self, size: int, *words: str | int) -> int:
        text = "\0".join(map(str, (self.installation, self.run_id, self.created_ms, *words)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size]) or 1


@dataclass(frozen=True)
class Span:
    """A span that has ended. Times are nanoseconds since 1970; ``parent`` is 0 for the root.

    ``failure`` is empty, or a word that says why it failed. Attributes hold names and numbers: no environment value,
    command, output or message, which could contain a secret.
    """

    name: str
    trace_id: int
    id: int
    parent: int
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    failure: str = ""


def short(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    """Without what is empty, and without the end of what is very long: names come from pipeline files."""
    return {
        name: value[:ATTRIBUTE_CHARS_MAX] if isinstance(value, str) else value
        for name, value in attributes.items()
        if value is not None and value != ""
    }
