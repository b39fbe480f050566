"""How a test ended in the runs of its repository: failures are rows, and what else it did is in the list of all tests.

So many reports are looked into for one answer, and it says where the next one begins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runner.report_results import STATES, Case, CaseName, case_of
from web.operations.lookup import repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers.blobs import BlobMissingError, BlobStore
from workers.db.models import Run, StepReport, TestFailure
from workers.db.roles import Role
from workers.db.session import reading
from workers.reports.storage import cases_of
from workers.store import reports as rows

HISTORY_COUNT_MAX = 100
LOOKED_INTO_REPORTS_MAX = 40
READ_BYTES_MAX = 32 * 1024**2
"""So many bytes of packed lists are read for one answer; one list more, if that is the first."""
_LINE_BYTES_MAX = 32 * 1024


@dataclass(frozen=True)
class PastTest:
    """What a test did in a run. Of a test that passed or was skipped there is no message and no line."""

    run: Run
    report_id: int
    state: str
    flaky: bool
    message: str
    file: str
    line: int
    duration_ms: int


@dataclass(frozen=True)
class TestHistory:
    """Ends of a test, newest first. ``next_before`` if there are older reports; ``unread``: lists that are gone."""

    __test__ = False

    tests: Sequence[PastTest]
    next_before: int | None
    unread: int = 0


def history_of(
    services: OperationServices,
    actor: Actor,
    name: str,
    test: CaseName,
    limit: int,
    before: int = 0,
    read_bytes_max: int = READ_BYTES_MAX,
) -> TestHistory:
    """In which runs of the repository this test ran or was skipped, newest first; of reports before this one."""
    with reading(services.engine) as session:
        repo = repo_named(session, actor, name, Role.READ)
        reports = rows.reports_with_tests(session, repo.id, LOOKED_INTO_REPORTS_MAX + 1, before)
        more = len(reports) > LOOKED_INTO_REPORTS_MAX
        reports = reports[:LOOKED_INTO_REPORTS_MAX]
        failures = rows.failures_of_test(session, [report.id for report, _ in reports], rows.key_of(test))
    found: list[PastTest] = []
    unread = read_bytes = 0
    for index, (report, run) in enumerate(reports):
        failure = failures.get(report.id)
        if len(found) == limit or (failure is None and index and read_bytes + report.blob_bytes > read_bytes_max):
            return TestHistory(found, reports[index - 1][0].id, unread)
        if failure is not None:
            found.append(_of_row(run, failure))
            continue
        read_bytes += report.blob_bytes
        try:
            case = _case_in(services.blobs, report, test)
        except BlobMissingError:
            unread += 1
            continue
        if case is not None:
            found.append(PastTest(run, report.id, case.state, False, "", case.file, 0, case.duration_ms))  # noqa: FBT003
    return TestHistory(found, reports[-1][0].id if more else None, unread)


def _of_row(run: Run, row: TestFailure) -> PastTest:
    return PastTest(run, row.report_id, row.state, row.flaky, row.message, row.file, row.line, row.duration_ms)


def _case_in(blobs: BlobStore, report: StepReport, test: CaseName) -> Case | None:
    """The test in the list of all tests of a report. Raises BlobError."""
    return find_case(cases_of(blobs, report), test)


def find_case(pieces: Iterable[bytes], test: CaseName) -> Case | None:
    """The first line of a list that is of this test. Not every line is decoded: most tests are others."""
    wanted, kept = test.line_start.encode(errors="replace"), b"\n"
    for piece in pieces:
        kept += piece
        if (case := _first(kept, wanted)) is not None:
            return case
        kept = kept[-_LINE_BYTES_MAX:]
    return _first(kept + b"\n", wanted)


def _first(text: bytes, wanted: bytes) -> Case | None:
    at = text.find(wanted)
    while at >= 0:
        start, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
        if end >= 0 and text[start:at].decode(errors="replace") in STATES:
            return case_of(text[start:end].decode(errors="replace"))
        at = text.find(wanted, at + 1)
    return None
