"""The tests and the coverage of runs: which failed, all of them, and how a test did before."""

from typing import Annotated, Any, Literal

from fastapi import Query

from runner.report_results import CaseName
from web.api.schemas import Schema
from web.json_api import RunNumber, make_router
from web.operations.reports.run_reports import RunReports, ShownFailure, run_reports
from web.operations.reports.test_history import HISTORY_COUNT_MAX, history_of
from web.operations.reports.test_lists import LISTED_COUNT_MAX, TestSearch, list_tests
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router(410)
WORDS_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 1000
FAILURES_LISTED_MAX = 1000

Name = Annotated[str, Query(max_length=NAME_CHARACTERS_MAX)]


class TestNameSchema(Schema):
    """What identifies a test within its repository. Each part may be empty."""

    __test__ = False

    suite: str
    class_name: str
    name: str


class FailedTestSchema(TestNameSchema):
    """A test that failed or is flaky. ``known``: it failed also in the run that this one is compared with."""

    job: str
    cell: dict[str, str]
    step: str
    step_id: int
    state: str
    flaky: bool
    known: bool | None
    file: str
    line: int
    message: str
    text: str
    duration_ms: int


class SlowTestSchema(TestNameSchema):
    """A test that took long."""

    duration_ms: int


class CoverageSchema(Schema):
    """How many lines the tests have run. ``change`` is the difference to the run that this one is compared with.

    It is in percentage points.
    """

    covered_lines: int
    total_lines: int
    percent: float
    change: float | None


class ReportsSchema(Schema):
    """What the reports of a run say. ``compared_with`` is the number of the run that it is compared with."""

    counts: dict[str, int]
    duration_ms: int
    failed: list[FailedTestSchema]
    flaky: list[FailedTestSchema]
    slowest: list[SlowTestSchema]
    coverage: CoverageSchema | None
    compared_with: int | None
    warnings: list[str]


class TestSchema(TestNameSchema):
    """A test of a run."""

    job: str
    cell: dict[str, str]
    step: str
    state: str
    file: str
    duration_ms: int


class TestsSchema(Schema):
    """Tests of a run. ``next_after`` is there if others follow."""

    __test__ = False

    tests: list[TestSchema]
    next_after: str | None


class PastTestSchema(Schema):
    """A run in which a test ran or was skipped. ``message`` and ``line`` are there where it failed."""

    run: int
    sha: str
    branch: str
    state: str
    flaky: bool
    message: str
    file: str
    line: int
    duration_ms: int
    created_ms: int


class TestHistorySchema(Schema):
    """Runs in which a test ran, newest first. ``next_before`` is there if there are older reports to look into."""

    __test__ = False

    runs: list[PastTestSchema]
    next_before: int | None


@router.get("/repos/{name:path}/runs/{number}/reports")
def get_reports(services: ServicesDep, user: CurrentUser, name: str, number: RunNumber) -> ReportsSchema:
    """Which tests of a run failed, new failures first, which are flaky, the slowest, and the coverage."""
    found = run_reports(services, user, name, number)
    return ReportsSchema(
        counts=dict(found.counts),
        duration_ms=found.duration_ms,
        failed=[_failed(each) for each in found.failed[:FAILURES_LISTED_MAX]],
        flaky=[_failed(each) for each in found.flaky[:FAILURES_LISTED_MAX]],
        slowest=[SlowTestSchema(**_named(test), duration_ms=duration_ms) for duration_ms, test in found.slowest],
        coverage=_coverage(found),
        compared_with=found.compared.number if found.compared else None,
        warnings=list(found.warnings),
    )


def _coverage(found: RunReports) -> CoverageSchema | None:
    coverage, change = found.coverage, found.coverage_change
    if coverage is None:
        return None
    return CoverageSchema(
        covered_lines=coverage.covered_lines,
        total_lines=coverage.total_lines,
        percent=round(coverage.percent, 2),
        change=None if change is None else round(change, 2),
    )


def _named(test: CaseName) -> dict[str, str]:
    return {"suite": test.suite, "class_name": test.group, "name": test.name}


def _failed(shown: ShownFailure) -> FailedTestSchema:
    row = shown.failure
    kept = ("state", "flaky", "file", "line", "message", "text", "duration_ms")
    values: dict[str, Any] = {**_named(shown.name), **{field: getattr(row, field) for field in kept}}
    return FailedTestSchema(
        **values,
        job=shown.job.name,
        cell=shown.job.cell,
        step=shown.step_name,
        step_id=shown.step_id,
        known=shown.known,
    )


@router.get("/repos/{name:path}/runs/{number}/tests")
def get_tests(
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    number: RunNumber,
    state: Literal["", "passed", "failed", "error", "skipped"] = "",
    q: Annotated[str, Query(max_length=WORDS_CHARACTERS_MAX)] = "",
    after: Annotated[str, Query(max_length=40)] = "",
    limit: Annotated[int, Query(ge=1, le=LISTED_COUNT_MAX)] = LISTED_COUNT_MAX,
) -> TestsSchema:
    """All tests of a run, or those of a state, or with words in their names and files.

    ``after`` is ``next_after`` of the page before.
    """
    found = list_tests(services, user, name, number, TestSearch(state, q, after, limit))
    return TestsSchema(
        tests=[
            TestSchema(
                **_named(each.case.test),
                job=each.job.name,
                cell=each.job.cell,
                step=each.step_name,
                state=each.case.state,
                file=each.case.file,
                duration_ms=each.case.duration_ms,
            )
            for each in found.tests
        ],
        next_after=found.tests[-1].position if found.more else None,
    )


@router.get("/repos/{name:path}/tests/history")
def get_history(
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    test: Annotated[str, Query(max_length=NAME_CHARACTERS_MAX)],
    suite: Name = "",
    class_name: Name = "",
    before: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=HISTORY_COUNT_MAX)] = HISTORY_COUNT_MAX,
) -> TestHistorySchema:
    """In which runs a test passed, failed or was skipped, newest first.

    Only so many reports are looked into: a page may be empty. ``before`` is ``next_before`` of the page before.
    """
    found = history_of(services, user, name, CaseName(suite, class_name, test), limit, before)
    kept = ("state", "flaky", "message", "file", "line", "duration_ms")
    runs = [
        PastTestSchema(
            **{field: getattr(each, field) for field in kept},
            run=each.run.number,
            sha=each.run.sha,
            branch=each.run.branch,
            created_ms=each.run.created_ms,
        )
        for each in found.tests
    ]
    return TestHistorySchema(runs=runs, next_before=found.next_before)
