"""Reports of steps on the engine: from the checkout and from a container, also of a step that failed."""

import pytest

from pipelines.state import Outcome, State
from pipelines.step_options.report_files import Reports
from pipelines.step_options.retry_policy import Retry
from runner.events import ProblemLinesFound, ReportsRead, Stream
from runner.execution.job.options import Options
from runner.report_results import Coverage, CoveredFile, CoveredFiles, ReportLimits, StepReports
from tests.support.engine import JobRunner
from tests.support.job_result import JobResult
from tests.support.plans import BUSYBOX, build, container, shell
from tests.support.reports import junit

pytestmark = pytest.mark.engine

JUNIT, COVERAGE = Reports(junit=("*.xml",)), Reports(coverage=("lcov.info",))
IN_WORKDIR = f"FROM {BUSYBOX}\nWORKDIR /app\nRUN true\n"


def writes(document: str, name: str = "r.xml") -> str:
    return f"cat > {name} <<'END'\n{document}\nEND"


def reports_of(job: JobResult) -> StepReports:
    return [event.reports for event in job.events if isinstance(event, ReportsRead)][-1]


def notes(job: JobResult, step: int = 1) -> list[str]:
    return job.log(step, Stream.NOTE).decode().splitlines()


def test_a_step_that_failed_has_reports(ran: JobRunner) -> None:
    job = ran(shell(writes(junit("one", "two")), "exit 3", reports=JUNIT))
    assert job.step().exit_code == 3
    tests = reports_of(job).tests
    assert tests is not None
    assert tests.counts == {"passed": 1, "failed": 1}
    assert [each.place for each in tests.failures] == ["tests/test_a.py:10"]
    assert "headway: 2 tests: 1 failed, 1 passed" in notes(job)


def test_reports_are_read_in_the_container_of_the_image_just_built(ran: JobRunner) -> None:
    lcov = "SF:/app/a\nDA:1,1\nDA:2,0\nend_of_record"
    step = shell(writes(lcov, "lcov.info"), box=container(1), reports=COVERAGE)
    job = ran(build(), step, files={"Dockerfile": IN_WORKDIR})
    assert job.outcome.state is State.PASSED
    assert reports_of(job).coverage == Coverage(1, 2)
    assert reports_of(job).covered_files == CoveredFiles((CoveredFile("a", 1, 2),)), "/app stands for the checkout"
    assert "headway: coverage: 50.0 % of 2 lines" in notes(job, 2)


def test_covered_files_are_paths_of_the_checkout_up_to_a_limit(ran: JobRunner) -> None:
    lcov = "SF:b\nDA:1,1\nSF:/headway/src/a\nDA:1,0\nSF:/usr/c\nDA:1,1\nend_of_record"
    step = shell(writes(lcov, "lcov.info"), box=container(BUSYBOX, directory="/headway/src/web"), reports=COVERAGE)
    options = Options(reports=ReportLimits(covered_files_max=1))
    whole, cut = ran(step, files={"web/file": ""}), ran(step, files={"web/file": ""}, options=options)
    assert [each.path for each in reports_of(whole).covered_files.files] == ["a", "web/b"]
    assert reports_of(whole).warnings == ()
    assert [each.path for each in reports_of(cut).covered_files.files] == ["a"]
    assert reports_of(cut).coverage == Coverage(2, 3)
    sentence = "of the 2 files with coverage only the first 1 are listed; all count"
    assert reports_of(cut).warnings == (sentence,)
    assert f"headway: warning: {sentence}" in notes(cut)


def test_what_cannot_be_read_is_a_warning_and_never_fails_the_step(ran: JobRunner) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "a">]><testsuite name="&a;"/>'
    step = shell(
        writes(bomb, "a.xml"), writes(junit("one"), "b.xml"), "ln -s /etc/passwd c.xml",
        reports=Reports(junit=("*.xml", "none/*.xml")),
    )  # fmt: skip
    job = ran(step)
    assert job.outcome == Outcome(State.PASSED, exit_code=0)
    reports = reports_of(job)
    assert reports.tests is not None
    assert reports.tests.counts == {"passed": 1}
    assert reports.warnings == (
        "not read: 'c.xml': it is a link, and links are not kept; copy what it leads to",
        "the report 'a.xml' cannot be read: it declares a document type of its own, and none is read",
        "no file matches 'none/*.xml', so that no report is read",
    )
    assert f"headway: warning: {reports.warnings[1]}" in notes(job)


def test_too_many_bytes_and_files_are_a_warning(ran: JobRunner) -> None:
    size = len(junit("one")) + 1
    steps = (writes(junit("one"), "a.xml"), writes(junit("one"), "b.xml"))
    whole = ran(shell(*steps, reports=JUNIT), options=Options(reports=ReportLimits(bytes_max=2 * size, files_max=2)))
    assert reports_of(whole).warnings == ()
    many = ran(shell(*steps, reports=JUNIT), options=Options(reports=ReportLimits(bytes_max=2 * size - 1)))
    assert reports_of(many).warnings == (
        f"its reports are not read: they have more than {2 * size - 1} bytes; name fewer files",
    )
    files = ran(shell(*steps, reports=JUNIT), options=Options(reports=ReportLimits(files_max=1)))
    assert reports_of(files).warnings == ("its reports are not read: they are more than 1 files; name fewer files",)
    assert many.outcome.state is files.outcome.state is State.PASSED


def test_secrets_are_masked_in_reports_and_problem_lines(ran: JobRunner) -> None:
    document = junit("name-hunter2secret", "hunter2secret")
    step = shell(writes(document), "echo 'a.c:1:2: error: hunter2secret'; exit 1", reports=JUNIT)
    job = ran(step, secrets={"token": "hunter2secret"})
    assert "hunter2secret" not in repr(job.events)
    tests = reports_of(job).tests
    assert tests is not None
    assert "hunter2secret" not in tests.cases
    assert tests.failures[0].test.name == "********"


def test_each_attempt_has_reports(ran: JobRunner) -> None:
    step = shell(
        "if [ -e again ]; then", writes(junit("one two")), "else", "touch again", writes(junit("one", "two")), "exit 1",
        "fi", reports=JUNIT, retry=Retry(attempts=1),
    )  # fmt: skip
    job = ran(step)
    assert job.outcome.state is State.PASSED
    found = [event.reports.tests for event in job.events if isinstance(event, ReportsRead)]
    assert [tests.counts for tests in found if tests] == [{"passed": 1, "failed": 1}, {"passed": 2}]


def test_a_step_that_failed_has_the_problem_lines_of_its_output(ran: JobRunner) -> None:
    failed = ran(shell("echo 'src/a.c:12:5: error: bad' >&2; exit 1"))
    (event,) = [event for event in failed.events if isinstance(event, ProblemLinesFound)]
    (annotation,) = event.annotations
    assert str(annotation) == "src/a.c:12:5: error: bad"
    assert failed.log().decode().splitlines()[annotation.log_line - 1].endswith("src/a.c:12:5: error: bad")
    passed = ran(shell("echo 'src/a.c:12:5: error: bad'"))
    assert not [event for event in passed.events if isinstance(event, ProblemLinesFound)]
