"""Masks secrets in what a step reports."""

from collections.abc import Callable
from dataclasses import replace

from runner.report_results import Annotation, CaseName, FailedTest, StepReports, TestResults

Mask = Callable[[str], str]


def masked_reports(reports: StepReports, mask: Mask) -> StepReports:
    """The reports with secrets masked in all their texts."""
    tests = _masked_results(reports.tests, mask) if reports.tests else None
    files = tuple(each._replace(path=mask(each.path)) for each in reports.covered_files.files)
    covered = replace(reports.covered_files, files=files)
    return replace(reports, tests=tests, warnings=tuple(map(mask, reports.warnings)), covered_files=covered)


def _masked_results(results: TestResults, mask: Mask) -> TestResults:
    return replace(
        results,
        failures=tuple(_masked_failure(each, mask) for each in results.failures),
        slowest=tuple((duration_ms, _masked_name(test, mask)) for duration_ms, test in results.slowest),
        cases=mask(results.cases),
    )


def _masked_failure(failed: FailedTest, mask: Mask) -> FailedTest:
    return replace(
        failed,
        test=_masked_name(failed.test, mask),
        file=mask(failed.file),
        message=mask(failed.message),
        text=mask(failed.text),
    )


def _masked_name(test: CaseName, mask: Mask) -> CaseName:
    return CaseName(mask(test.suite), mask(test.group), mask(test.name))


def masked_annotation(annotation: Annotation, mask: Mask) -> Annotation:
    """The annotation with secrets masked. Its line of output was masked before; its parts may be of several lines."""
    return replace(annotation, file=mask(annotation.file), message=mask(annotation.message))
