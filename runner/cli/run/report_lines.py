"""What ``headway run`` says at the end of a job of its tests: those that failed, how many there are, coverage."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pipelines.plan import JobPlan
from runner.report_results import ERROR, FAILED, Annotation, FailedTest, StepReports, counted, total_of

FAILURES_SHOWN_MAX = 50
TEXT_LINES_MAX = 3
PROBLEM_LINES_SHOWN_MAX = 20
_BAD, _QUIET = "red", "dim"


def report_lines(
    plan: JobPlan, reports: Mapping[int, StepReports], problem_lines: Mapping[int, Sequence[Annotation]]
) -> Iterator[tuple[str, str]]:
    """Lines for the terminal, each with its style."""
    names = {step.number: step.name for step in plan.steps}
    for number, found in sorted(problem_lines.items()):
        if number not in reports or not _has_failures(reports[number]):  # or they say it better
            yield from _problem_lines(names[number], found)
    tests = [each.tests for _, each in sorted(reports.items()) if each.tests]
    failures = [failure for results in tests for failure in results.failures]
    failed = [each for each in failures if not each.flaky]
    counts = sum((Counter(results.counts) for results in tests), Counter[str]())
    yield from _failed_tests(failed, counts[FAILED] + counts[ERROR])
    for each in failures:
        if each.flaky:
            yield f"flaky: {each.test} passed after it had failed", "yellow"
    if counts:
        yield counted(counts), "bold"
    if coverage := total_of(each.coverage for each in reports.values() if each.coverage):
        yield f"coverage: {coverage}", "bold"


def _problem_lines(step: str, found: Sequence[Annotation]) -> Iterator[tuple[str, str]]:
    yield f"problems in the output of {step}:", "bold"
    for annotation in found[:PROBLEM_LINES_SHOWN_MAX]:
        yield f"  {annotation}", _BAD if annotation.severity == "error" else "yellow"
    if (more := len(found) - PROBLEM_LINES_SHOWN_MAX) > 0:
        yield f"  and {more:,} more", _QUIET


def _has_failures(reports: StepReports) -> bool:
    return bool(reports.tests and (reports.tests.counts.get(FAILED) or reports.tests.counts.get(ERROR)))


def _failed_tests(failed: Sequence[FailedTest], count: int) -> Iterator[tuple[str, str]]:
    if failed:
        yield "failed tests:", "bold"
    for each in failed[:FAILURES_SHOWN_MAX]:
        yield f"  {each.place}: {each.test}" if each.place else f"  {each.test}", _BAD
        if each.message:
            yield f"    {each.message}", ""
        said = [line for line in each.text.splitlines() if line.strip() and line.strip() != each.message]
        for line in said[:TEXT_LINES_MAX]:
            yield f"    {line}", _QUIET
    if failed and (more := count - min(len(failed), FAILURES_SHOWN_MAX)) > 0:
        yield f"  and {more:,} more", _QUIET
