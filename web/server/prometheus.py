"""The text format of Prometheus: families of samples as lines, and histograms that count."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

DURATIONS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200)
"""The upper bounds of the buckets of a duration, in seconds."""


@dataclass(frozen=True)
class Sample:
    """One value. ``suffix`` comes after the family's name, in histograms."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True)
class Family:
    """All samples of one name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    samples: Iterable[Sample]


class Histogram:
    """Counts durations in buckets, for each set of labels. Not safe to use from several threads at once."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._counts: dict[tuple[tuple[str, str], ...], list[int]] = {}
        self._sums: dict[tuple[tuple[str, str], ...], float] = {}

    def observe(self, duration_s: float, **labels: str) -> None:
        """Counts one duration."""
        key = tuple(labels.items())
        counts = self._counts.setdefault(key, [0] * (len(DURATIONS_S) + 1))
        counts[bisect_left(DURATIONS_S, duration_s)] += 1
        self._sums[key] = self._sums.get(key, 0) + duration_s

    def family(self) -> Family:
        """What was counted until now."""
        samples = [sample for key in sorted(self._counts) for sample in self._samples(key)]
        return Family(self._name, "histogram", self._text, samples)

    def _samples(self, key: tuple[tuple[str, str], ...]) -> Iterable[Sample]:
        labels, total = dict(key), 0
        for bound, count in zip((*map(str, DURATIONS_S), "+Inf"), self._counts[key], strict=True):
            total += count
            yield Sample(total, {**labels, "le": bound}, "_bucket")
        yield Sample(self._sums[key], labels, "_sum")
        yield Sample(total, labels, "_count")


def exposition(families: Iterable[Family]) -> str:
    """The families as a scraper reads them."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {family.text}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        labels = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sample.labels.items())
        yield f"{family.name}{sample.suffix}{f'{{{labels}}}' if labels else ''} {sample.value:.15g}"
