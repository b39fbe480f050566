"""What a step reports beside its verdict: its tests, its coverage, problem lines of its output; and the limits."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

PASSED, FAILED, ERROR, SKIPPED = "passed", "failed", "error", "skipped"
STATES = (PASSED, FAILED, ERROR, SKIPPED)
SLOWEST_COUNT_MAX = 10
WARNINGS_COUNT_MAX = 10


@dataclass(frozen=True)
class ReportLimits:
    """What is read of the reports of one step. Of each failed test, message and text are cut to their limits.

    ``failures_count_max`` is how many failed tests keep their message, text and place; the others are counted. The
    coverage of so many files is listed as lines of so many bytes together; that of the others is counted.
    """

    bytes_max: int = 64 * 1024**2
    files_max: int = 5000
    cases_count_max: int = 100_000
    failures_count_max: int = 500
    name_characters_max: int = 500
    message_characters_max: int = 1000
    text_characters_max: int = 8000
    covered_files_max: int = 5000
    covered_files_bytes_max: int = 512 * 1024


class CaseName(NamedTuple):
    """What identifies a test within its repository."""

    suite: str
    group: str
    name: str

    def __str__(self) -> str:
        first = self.group or self.suite
        return f"{first} › {self.name}" if first and first not in self.name else self.name  # noqa: RUF001 - a sign

    @property
    def line_start(self) -> str:
        """How the line of the test goes on behind its state."""
        return f"\t{self.suite}\t{self.group}\t{self.name}\t"


@dataclass(frozen=True)
class FailedTest:
    """A test that failed, or that failed first and passed then (``flaky``). ``line`` is 0 where it is not known."""

    test: CaseName
    state: str
    file: str
    line: int
    message: str
    text: str
    duration_ms: int
    flaky: bool = False

    @property
    def place(self) -> str:
        """Where it failed; empty where that is not known."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file


@dataclass(frozen=True)
class TestResults:
    """All tests of a step. ``cases`` has a line for each, as ``case_line`` makes it, after an empty one."""

    __test__ = False

    counts: Mapping[str, int]
    duration_ms: int
    failures: tuple[FailedTest, ...]
    slowest: tuple[tuple[int, CaseName], ...]
    cases: str = field(repr=False)

    @property
    def total(self) -> int:
        """How many tests there are."""
        return sum(self.counts.values())

    def passed(self, test: CaseName) -> bool:
        """Has this test passed, here?"""
        return f"\n{PASSED}{test.line_start}" in self.cases


@dataclass(frozen=True)
class Case:
    """A line of ``TestResults.cases``."""

    state: str
    test: CaseName
    file: str
    duration_ms: int


@dataclass(frozen=True)
class Coverage:
    """How many lines of a program its tests have run."""

    covered_lines: int
    total_lines: int

    def __str__(self) -> str:
        return f"{self.percent:.1f} % of {self.total_lines:,} lines"

    @property
    def percent(self) -> float:
        """The part that is covered."""
        return 100 * self.covered_lines / self.total_lines if self.total_lines else 0.0


class CoveredFile(NamedTuple):
    """The coverage of a file. ``path`` is relative to the checkout."""

    path: str
    covered_lines: int
    total_lines: int

    @property
    def percent(self) -> float:
        """The part that is covered."""
        return 100 * self.covered_lines / self.total_lines if self.total_lines else 0.0

    @property
    def line(self) -> str:
        """The line that is stored of it."""
        return f"{self.covered_lines}\t{self.total_lines}\t{self.path}\n"


@dataclass(frozen=True)
class CoveredFiles:
    """The coverage of each file of the repository, by paths. ``left_out`` more are not listed: there are too many."""

    files: tuple[CoveredFile, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class StepReports:
    """What the reports of one step say. ``warnings`` are sentences about what could not be read."""

    tests: TestResults | None = None
    coverage: Coverage | None = None
    warnings: tuple[str, ...] = ()
    covered_files: CoveredFiles = CoveredFiles()


@dataclass(frozen=True)
class Annotation:
    """A problem that a tool has written in a step's output. ``line`` and ``column`` are 0 where they are not known.

    ``log_line`` is the line of the step's log, counted from 1; 0 where it is not known.
    """

    severity: Literal["error", "warning"]
    file: str
    line: int
    column: int
    message: str
    log_line: int = 0

    def __str__(self) -> str:
        numbers = f":{self.line}" * bool(self.line) + f":{self.column}" * bool(self.line and self.column)
        return f"{self.file}{numbers}: {self.severity}: {self.message}"


def case_of(line: str) -> Case | None:
    """What a line of ``TestResults.cases`` says; None for one that a mask has changed."""
    parts = line.split("\t")
    if len(parts) != 6 or parts[0] not in STATES or not parts[5].isdecimal():  # noqa: PLR2004 - the number of its fields
        return None
    state, suite, group, name, file, duration_ms = parts
    return Case(state, CaseName(suite, group, name), file, int(duration_ms))


def total_of(all_coverage: Iterable[Coverage]) -> Coverage | None:
    """The coverage of all together."""
    found = list(all_coverage)
    if not found:
        return None
    return Coverage(sum(each.covered_lines for each in found), sum(each.total_lines for each in found))


def counted(counts: Mapping[str, int]) -> str:
    """The numbers of tests as a sentence."""
    numbers = Counter(counts)
    bad = numbers[FAILED] + numbers[ERROR]
    skipped = f", {numbers[SKIPPED]:,} skipped" if numbers[SKIPPED] else ""
    return f"{sum(numbers.values()):,} tests: {bad:,} failed, {numbers[PASSED]:,} passed{skipped}"
