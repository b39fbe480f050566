"""All tests of a run, listed and searched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runner.report_results import Case, case_of
from web.operations.errors import GoneError, InvalidInputError
from web.operations.lookup import run_numbered
from web.security.access import Actor
from web.services import OperationServices
from workers.blobs import BlobMissingError, BlobStore
from workers.db.models import Job, StepReport
from workers.db.roles import Role
from workers.db.session import reading
from workers.reports.storage import cases_of
from workers.store import reports as rows

LISTED_COUNT_MAX = 1000
POSITION_CHARACTERS_MAX = 40


@dataclass(frozen=True)
class ListedTest:
    """A test of a run. ``position`` is for ``after``, to list those behind it."""

    case: Case
    job: Job
    step_id: int
    step_name: str
    position: str


@dataclass(frozen=True)
class TestList:
    """Some of a run's tests. ``more`` if others come after these."""

    __test__ = False

    tests: list[ListedTest]
    more: bool


@dataclass(frozen=True)
class TestSearch:
    """Which tests are wanted: of this state, with these words in their names or files, behind a position."""

    __test__ = False

    state: str = ""
    words: str = ""
    after: str = ""
    limit: int = LISTED_COUNT_MAX


def list_tests(services: OperationServices, actor: Actor, name: str, number: int, search: TestSearch) -> TestList:
    """All tests of a run that are wanted, in the order of its reports."""
    with reading(services.engine) as session:
        _, run = run_numbered(session, actor, name, number, Role.READ, services.settings.retention)
        shown = sorted(rows.reports_of_run(session, run.id), key=lambda each: each.report.id)
    first_report, first_line = _position(search.after)
    words = search.words.casefold().split()
    found: list[ListedTest] = []
    for each in shown:
        if each.report.id < first_report:
            continue
        start = first_line if each.report.id == first_report else 0
        for line_number, line in enumerate(_lines(services.blobs, each.report), start=1):
            if line_number <= start or not line.startswith(search.state) or not _has(line, words):
                continue
            if (case := case_of(line)) is None:
                continue
            if len(found) == search.limit:
                return TestList(found, more=True)
            found.append(ListedTest(case, each.job, each.step_id, each.step_name, f"{each.report.id}.{line_number}"))
    return TestList(found, more=False)


def _has(line: str, words: Sequence[str]) -> bool:
    if not words:
        return True
    folded = line.casefold()
    return all(word in folded for word in words)


def _position(after: str) -> tuple[int, int]:
    if not after:
        return 0, 0
    report, _, line = after.partition(".")
    if not (
        report.isdecimal()
        and line.isdecimal()
        and report.isascii()
        and line.isascii()
        and len(after) <= POSITION_CHARACTERS_MAX
    ):
        raise InvalidInputError("'after' is the value 'next_after' of the page before.")
    return int(report), int(line)


def _lines(blobs: BlobStore, report: StepReport) -> Iterator[str]:
    rest = b""
    try:
        for piece in cases_of(blobs, report):
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines if line)
    except BlobMissingError:
        raise GoneError("The list of all tests is gone from the blob store.") from None
