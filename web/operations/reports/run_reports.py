"""The tests and the coverage of a run: which tests failed, and which of them are new."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from runner.report_results import ERROR, FAILED, SKIPPED, CaseName, Coverage, total_of
from web.operations.lookup import run_numbered
from web.security.access import Actor
from web.services import OperationServices
from workers.db.models import Job, Repo, Run, TestFailure
from workers.db.roles import Role
from workers.db.session import reading
from workers.store import reports as rows
from workers.store.reports import ShownReport

FAILURES_READ_MAX = 5000
SLOWEST_SHOWN_MAX = 10
WARNINGS_SHOWN_MAX = 20


@dataclass(frozen=True)
class ShownFailure:
    """A test that failed, or is flaky, and where. ``known``: it failed also in the run that this one is compared with.

    None where there is no such run.
    """

    failure: TestFailure
    job: Job
    step_id: int
    step_name: str
    known: bool | None

    @property
    def name(self) -> CaseName:
        """What identifies the test."""
        return CaseName(self.failure.suite, self.failure.group, self.failure.name)

    @property
    def place(self) -> str:
        """The file and the line where it failed, as far as they are known."""
        return f"{self.failure.file}:{self.failure.line}" if self.failure.line else self.failure.file


def alike(failures: Iterable[ShownFailure]) -> list[list[ShownFailure]]:
    """The failures in their order; those of the same test with the same message and place, as in several cells of a
    matrix, are together.
    """
    groups: dict[tuple[object, ...], list[ShownFailure]] = {}
    for each in failures:
        key = (each.name, each.failure.message, each.place, each.known, each.failure.flaky)
        groups.setdefault(key, []).append(each)
    return list(groups.values())


@dataclass(frozen=True)
class RunReports:
    """What the reports of a run say. ``failed`` has new failures first; of many it has the first ones.

    ``compared`` is the run that it is compared with, and ``coverage_before`` the coverage there. ``report_ids`` are the
    ids of its reports, ``compared_ids`` those of that run.
    """

    counts: Counter[str] = field(default_factory=Counter)
    duration_ms: int = 0
    failed: Sequence[ShownFailure] = ()
    flaky: Sequence[ShownFailure] = ()
    slowest: Sequence[tuple[int, CaseName]] = ()
    coverage: Coverage | None = None
    coverage_before: Coverage | None = None
    compared: Run | None = None
    warnings: Sequence[str] = ()
    report_ids: Sequence[int] = ()
    compared_ids: Sequence[int] = ()

    def __bool__(self) -> bool:
        return bool(self.counts or self.coverage or self.warnings)

    @property
    def failed_alike(self) -> Sequence[Sequence[ShownFailure]]:
        """``failed``, with those together that failed alike."""
        return alike(self.failed)

    @property
    def total(self) -> int:
        """How many tests ran or were skipped."""
        return self.counts.total()

    @property
    def failed_count(self) -> int:
        """How many tests failed, also those that are not listed."""
        return self.counts[FAILED] + self.counts[ERROR]

    @property
    def skipped_count(self) -> int:
        """How many tests did not run."""
        return self.counts[SKIPPED]

    @property
    def coverage_change(self) -> float | None:
        """By how many percentage points the coverage differs from that before."""
        if self.coverage is None or self.coverage_before is None:
            return None
        return self.coverage.percent - self.coverage_before.percent


def reports_of(session: Session, repo: Repo, run: Run) -> RunReports:
    """The reports of a run that the caller may read."""
    shown = rows.reports_of_run(session, run.id)
    if not shown:
        return RunReports()
    compared = rows.compared_run(session, repo, run)
    before = rows.reports_of_run(session, compared.id) if compared else []
    known = rows.failed_keys(session, compared.id) if compared and any(each.report.counts for each in before) else None
    failed, flaky = _failures(session, shown, known)
    counts: Counter[str] = Counter()
    for each in shown:
        counts.update({state: int(count) for state, count in each.report.counts.items()})
    slowest = [
        (int(each["duration_ms"]), CaseName(each["suite"], each["group"], each["name"]))
        for of_step in shown
        for each in of_step.report.slowest
    ]
    return RunReports(
        counts=counts,
        duration_ms=sum(each.report.duration_ms for each in shown),
        failed=failed,
        flaky=flaky,
        slowest=sorted(slowest, reverse=True)[:SLOWEST_SHOWN_MAX],
        coverage=_coverage(shown),
        coverage_before=_coverage(before),
        compared=compared,
        warnings=[
            f"{each.step_name}: {sentence}" if len(shown) > 1 else sentence
            for each in shown
            for sentence in each.report.warnings
        ][:WARNINGS_SHOWN_MAX],
        report_ids=[each.report.id for each in shown],
        compared_ids=[each.report.id for each in before],
    )


def _coverage(shown: Sequence[ShownReport]) -> Coverage | None:
    return total_of(
        Coverage(each.report.covered_lines, each.report.total_lines)
        for each in shown
        if each.report.covered_lines is not None and each.report.total_lines is not None
    )


def _failures(
    session: Session, shown: Sequence[ShownReport], known: set[str] | None
) -> tuple[list[ShownFailure], list[ShownFailure]]:  # fmt: skip
    """Failed tests, new ones first, and flaky ones."""
    by_id = {each.report.id: each for each in shown}
    failed: list[ShownFailure] = []
    flaky: list[ShownFailure] = []
    for row in rows.failures_of(session, list(by_id), FAILURES_READ_MAX):
        of = by_id[row.report_id]
        is_known = None if known is None else row.key in known
        each = ShownFailure(row, of.job, of.step_id, of.step_name, is_known)
        if row.state in {FAILED, ERROR}:
            failed.append(each)
        if row.flaky:
            flaky.append(each)
    failed.sort(key=lambda each: each.known is True)
    return failed, flaky


def run_reports(services: OperationServices, actor: Actor, name: str, number: int) -> RunReports:
    """The reports of a run."""
    with reading(services.engine) as session:
        repo, run = run_numbered(session, actor, name, number, Role.READ, services.settings.retention)
        return reports_of(session, repo, run)
