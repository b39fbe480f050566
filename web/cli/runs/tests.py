"""`headway tests`: the tests of a run as its reports have them: failed, flaky and the slowest."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.visible import visible_line
from web.cli.helpers import RepoName, actor, operation_services, say
from workers.cli.errors import report_errors

if TYPE_CHECKING:
    from runner.report_results import CaseName
    from web.operations.reports.run_reports import RunReports, ShownFailure

LISTED_COUNT_MAX = 1000
"""Of failed tests, and of flaky ones."""
_MESSAGE_CHARACTERS_MAX = 200


@report_errors
def tests(
    repo: RepoName,
    run: Annotated[int, typer.Argument(help="The run's number.", min=1, max=2**53, show_default=False)],
) -> None:
    """Lists the tests of a run that failed (new, known), are flaky, or took longest, and its coverage."""
    from web.operations.reports.run_reports import run_reports

    with operation_services() as services:
        for line in _lines(run_reports(services, actor(), repo, run)):
            say(line)


def _lines(found: "RunReports") -> Iterator[str]:
    """A line for each, with tabs between kind, milliseconds, job, step, test, place and message. Then the sums."""
    for each in found.failed[:LISTED_COUNT_MAX]:
        yield _failure("known" if each.known else "failed" if each.known is None else "new", each)
    for each in found.flaky[:LISTED_COUNT_MAX]:
        yield _failure("flaky", each)
    for duration_ms, name in found.slowest:
        yield "\t".join(("slow", str(duration_ms), "", "", _name(name)))
    for warning in found.warnings:
        yield f"warning\t{visible_line(warning)}"
    if found.total:
        yield f"tests\t{found.total}, {found.failed_count} failed, {found.skipped_count} skipped"
    if found.coverage:
        change = "" if found.coverage_change is None else f" ({found.coverage_change:+.2f})"
        yield f"coverage\t{found.coverage.percent:.2f} %{change}"


def _failure(kind: str, each: "ShownFailure") -> str:
    row = each.failure
    message = (row.message.strip().splitlines() or [""])[0][:_MESSAGE_CHARACTERS_MAX]
    parts = (each.job.name, each.step_name)
    shown = (str(each.name), each.place, message)
    return "\t".join((kind, str(row.duration_ms), *map(visible_line, (*parts, *shown))))


def _name(name: "CaseName") -> str:
    return visible_line(str(name))
