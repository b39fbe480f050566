"""Reports of tests, for tests."""

from runner.report_results import Coverage, CoveredFile, CoveredFiles, ReportLimits, StepReports
from runner.reports.junit import TestReader

FAILURE = "<failure message='assert {name}'>tests/test_a.py:{line}: AssertionError</failure>"


def junit(passed: str = "", failed: str = "", time_s: float = 0.01) -> str:
    """JUnit XML with tests of these names, which are separated by spaces."""
    cases = [f"<testcase classname='tests.test_a' name='{name}' time='{time_s}'/>" for name in passed.split()]
    cases += [
        f"<testcase classname='tests.test_a' name='{name}' time='{time_s}'>"
        f"{FAILURE.format(name=name, line=10 + index)}</testcase>"
        for index, name in enumerate(failed.split())
    ]
    return f"<testsuites><testsuite name='unit'>{''.join(cases)}</testsuite></testsuites>"


def step_reports(passed: str = "", failed: str = "", coverage: Coverage | None = None) -> StepReports:
    """The reports of a step with tests of these names."""
    reader = TestReader(ReportLimits(), "/headway/src", lambda: None)
    reader.read([junit(passed, failed).encode()])
    return StepReports(reader.results(), coverage)


def covered(left_out: int = 0, /, **lines: tuple[int, int]) -> StepReports:
    """The reports of a step with files ``NAME.py``, each with its covered lines and all its lines."""
    files = tuple(CoveredFile(f"{name}.py", *lines[name]) for name in sorted(lines))
    both = list(zip(*lines.values(), strict=True))
    return StepReports(coverage=Coverage(sum(both[0]), sum(both[1])), covered_files=CoveredFiles(files, left_out))
