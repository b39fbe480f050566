"""The verdict of a run with what its rows, its reports and its log say: the same for the page and the API."""

from collections.abc import Collection, Sequence

from runner.logs.ansi import last_state, without_escapes
from web.operations.reports.run_reports import RunReports
from web.operations.runs.ignored_steps import ignored_steps
from web.operations.runs.log_parts import last_lines
from web.operations.verdicts.last_line import LINES_LOOKED_AT_MAX, LogLine, telling_line
from web.operations.verdicts.verdict import Verdict, verdict_of
from web.services import OperationServices
from workers.blobs import BlobError
from workers.db.models import Job, Run, Step
from workers.logs import LogDamagedError, LogStore


def run_verdict(
    services: OperationServices,
    run: Run,
    jobs: Sequence[tuple[Job, list[Step]]],
    reports: RunReports,
    ignored: Collection[int] | None = None,
) -> Verdict:
    """The verdict of a run. Reads the end of one log at most: outside of a transaction."""
    counted_out = ignored_steps(jobs) if ignored is None else ignored
    return verdict_of(run, jobs, reports, counted_out, lambda step: _telling(services.logs, run, step))


def plain_lines(data: bytes) -> list[str]:
    """A log's lines as text without colours; of a line with carriage returns only what a terminal shows at the end."""
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [without_escapes(last_state(line).decode(errors="replace").rstrip("\r")) for line in lines]


def _telling(logs: LogStore, run: Run, step: Step) -> LogLine | None:
    if run.logs_deleted_ms is not None or not step.log_bytes:
        return None
    try:
        part = last_lines(logs, (run.id, step.job_id, step.number, step.attempt), LINES_LOOKED_AT_MAX)
    except (LogDamagedError, BlobError):
        return None  # the log itself says so where it is shown
    return telling_line(plain_lines(part.data), part.line)
