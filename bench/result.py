"""A row of the table: its target, what was measured, and whether it meets the target."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Kind(StrEnum):
    """What a target limits."""

    RATIO_AT_MOST = "ratio at most"
    RATIO_AT_LEAST = "ratio at least"
    FIGURE_AT_MOST = "figure at most"


@dataclass(frozen=True)
class Target:
    """The limit that a row must keep. ``goal`` is a stricter one that it should reach one day."""

    kind: Kind
    limit: float
    goal: float | None = None

    def holds(self, figure: float, ratio: float | None) -> bool:
        """Whether the figures meet the target."""
        match self.kind:
            case Kind.RATIO_AT_MOST:
                return ratio is not None and ratio <= self.limit
            case Kind.RATIO_AT_LEAST:
                return ratio is not None and ratio >= self.limit
            case Kind.FIGURE_AT_MOST:
                return figure <= self.limit


@dataclass(frozen=True)
class Row:
    """One line of the table, before anything is measured. ``unit`` is that of the figure, the baseline and, where the
    target is a figure, of the target.
    """

    name: str
    title: str
    baseline: str
    unit: str
    target: Target


@dataclass(frozen=True)
class Measured:
    """The result of a row: medians, and every round behind them."""

    figure: float
    baseline: float | None = None
    rounds: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure divided by the baseline."""
        return None if not self.baseline else self.figure / self.baseline


@dataclass(frozen=True)
class Bench:
    """Where and how often to measure. ``folder`` is empty and temporary; ``cache`` stays between benchmarks."""

    folder: Path
    cache: Path
    rounds: int | None = None

    def rounds_of(self, usual: int) -> int:
        """How many rounds a row has: its own number, or that of ``--rounds``."""
        return usual if self.rounds is None else self.rounds

    def place(self, name: str) -> Path:
        """A new folder for a row."""
        place = self.folder / name
        place.mkdir(parents=True)
        return place
