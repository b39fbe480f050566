"""What ``headway run`` says of tests at the end of a job."""

from runner.cli.run.report_lines import FAILURES_SHOWN_MAX, PROBLEM_LINES_SHOWN_MAX, report_lines
from runner.report_results import Annotation, Coverage, StepReports
from tests.support.builders import job_plan
from tests.support.reports import step_reports

PLAN = job_plan("build")


def lines(reports: dict[int, StepReports], problems: dict[int, tuple[Annotation, ...]] | None = None) -> list[str]:
    return [line for line, _ in report_lines(PLAN, reports, problems or {})]


def test_failed_tests_come_with_place_message_and_text() -> None:
    assert lines({1: step_reports("one", "two", Coverage(1, 2)), 2: step_reports("three")}) == [
        "failed tests:",
        "  tests/test_a.py:10: tests.test_a › two",  # noqa: RUF001 - a sign
        "    assert two",
        "    tests/test_a.py:10: AssertionError",
        "3 tests: 1 failed, 2 passed",
        "coverage: 50.0 % of 2 lines",
    ]


def test_without_reports_nothing_is_said() -> None:
    assert lines({}) == []


def test_many_failures_are_counted() -> None:
    shown = lines({1: step_reports("", " ".join(f"t{number}" for number in range(FAILURES_SHOWN_MAX + 2)))})
    assert "  and 2 more" in shown
    assert len([line for line in shown if line.startswith("  tests/")]) == FAILURES_SHOWN_MAX


def test_problem_lines_are_listed_where_no_report_says_what_failed() -> None:
    many = tuple(Annotation("error", "a.c", number, 1, "bad") for number in range(1, PROBLEM_LINES_SHOWN_MAX + 2))
    shown = lines({}, {1: many})
    assert shown[:2] == ["problems in the output of step-1:", "  a.c:1:1: error: bad"]
    assert shown[-1] == "  and 1 more"
    assert "  a.c:1:1: error: bad" not in lines({1: step_reports("", "one")}, {1: many})
    assert "  a.c:1:1: error: bad" in lines({1: step_reports("one")}, {1: many})
