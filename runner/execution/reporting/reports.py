"""Reads the reports of a step when it has ended, wherever it wrote them. What cannot be read is a warning."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from pipelines.plan import CommandsStep, PluginStep
from pipelines.state import Outcome, State
from runner.artifacts.files import ArtifactLimits, FilesRefusedError, Found, FoundFile, shown
from runner.artifacts.patterns import Patterns
from runner.cleanup.folder_removal import remove_tree
from runner.errors import StepError
from runner.events import ReportsRead
from runner.execution.artifacts import find_files, start_folder
from runner.execution.job.job import Job
from runner.logs.output import Output
from runner.report_results import WARNINGS_COUNT_MAX, CoveredFiles, StepReports, counted
from runner.reports.bounded_xml import ReportError
from runner.reports.coverage import CoverageReader
from runner.reports.junit import TestReader
from runner.reports.repository_paths import RepositoryPaths

_FEWER = "name fewer files"


def read_reports(
    job: Job, step: CommandsStep | PluginStep, container: str, output: Output, outcome: Outcome
) -> None:  # fmt: skip
    """Reads the reports that the step names, and emits what they say. Never changes how the step ended."""
    asked = step.reports
    if asked is None or outcome.state not in {State.PASSED, State.FAILED}:
        return
    reading = _Reading(job, step, container)
    limits = job.options.reports
    tests = TestReader(limits, job.plan.workspace, job.check)
    try:
        folder = start_folder(job, step, container) if asked.coverage else ""
        coverage = CoverageReader(job.check, paths=RepositoryPaths(job.plan.workspace, folder))
        with job.timed("reports", step.name):
            reading.read(asked.junit, tests.read)
            reading.read(asked.coverage, coverage.read)
    except StepError:
        return  # the job was canceled, or has to end
    files = coverage.files(limits)
    warnings = [*reading.warnings, *_left_out(files)]
    reports = StepReports(tests.results(), coverage.coverage(), tuple(warnings), files)
    for sentence in warnings:
        output.note(f"headway: warning: {sentence}")
    if reports.tests:
        output.note(f"headway: {counted(reports.tests.counts)}")
    if reports.coverage:
        output.note(f"headway: coverage: {reports.coverage}")
    job.emit(ReportsRead(step.number, reports))


def _left_out(files: CoveredFiles) -> Iterator[str]:
    if files.left_out:
        count = len(files.files)
        yield f"of the {count + files.left_out:,} files with coverage only the first {count:,} are listed; all count"


class _Reading:
    """Reads the files of one step, and collects sentences about those that are no reports."""

    def __init__(self, job: Job, step: CommandsStep | PluginStep, container: str) -> None:
        self._job, self._step, self._container = job, step, container
        self._warnings: list[str] = []
        self._more = 0

    @property
    def warnings(self) -> list[str]:
        """What could not be read; of many sentences the first."""
        return [*self._warnings, *([f"{self._more:,} more reports cannot be read"] if self._more else [])]

    def read(self, paths: Sequence[str], read: Callable[[Iterable[bytes]], None]) -> None:
        """Gives each file of these patterns to ``read``. Raises StepError where the job must end."""
        if not paths:
            return
        patterns = Patterns(paths, ())
        try:
            with self._found(patterns) as found:
                for sentence in found.left_out:
                    self._warn(sentence.replace("not kept: ", "not read: ", 1))
                for file in found.files:
                    self._read_file(file, read)
        except FilesRefusedError as error:
            self._warn(f"its reports are not read: {error.why}")
        except OSError as error:
            self._warn(f"its reports cannot be read: {error.strerror or error}")
        else:
            for pattern in patterns.unmatched:
                self._warn(f"no file matches {pattern!r}, so that no report is read")

    @contextmanager
    def _found(self, patterns: Patterns) -> Iterator[Found]:
        limits, job = self._job.options.reports, self._job
        found = Found(ArtifactLimits(limits.bytes_max, limits.files_max), _FEWER)
        spool = job.scratch / f"reports-{self._step.number}"
        remove_tree(job.engine, spool)  # of an earlier process that died here
        spool.mkdir(mode=0o700)
        try:
            yield find_files(job, self._step, self._container, patterns, found, spool)
        finally:
            remove_tree(job.engine, spool)

    def _read_file(self, file: FoundFile, read: Callable[[Iterable[bytes]], None]) -> None:
        try:
            read(file.pieces())
        except ReportError as error:
            self._warn(f"the report {shown(file.path)} cannot be read: {error}")
        except FilesRefusedError as error:
            self._warn(f"not read: {error.why}")

    def _warn(self, sentence: str) -> None:
        if len(self._warnings) < WARNINGS_COUNT_MAX:
            self._warnings.append(sentence)
        else:
            self._more += 1
