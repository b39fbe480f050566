"""Stores the reports of one job: compares them with others of the same commit, and writes rows and a blob."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO

import structlog
from sqlalchemy import Engine

from runner.artifacts.files import FoundFile
from runner.report_results import PASSED, FailedTest, StepReports, TestResults
from workers.artifacts.storage import StoredArtifacts, blob_name
from workers.blobs import BlobStore, StoredBlob
from workers.db.models import StepReport
from workers.db.session import persist, reading
from workers.store import reports as rows
from workers.store.jobs.leases import Claim
from workers.store.reports import CasesBlob

FAILURES_COUNT_MAX = 1000
"""So many tests of a step have rows, failed and flaky ones together."""
COMPARED_BLOBS_COUNT_MAX = 3
CASES_BYTES_MAX = 128 * 1024**2
"""More is not unpacked of a blob."""
_LEVEL = 1  # all tests of most reports are a fifth of their size so, in a twentieth of a second
_log = structlog.get_logger()


class StoredReports:
    """Stores what the steps of one job report. Calls raise StaleAttemptError once the job is another attempt's."""

    def __init__(self, database: Engine, blobs: BlobStore, claim: Claim, repo_id: int) -> None:
        self._database, self._blobs, self._claim = database, blobs, claim
        self._artifacts = StoredArtifacts(database, blobs, claim, repo_id)

    def keep(self, step: int, reports: StepReports) -> None:
        """Stores the reports of a step, in place of those of an earlier attempt at it."""
        failures = self._compared(step, reports.tests) if reports.tests else ()
        blob = self._stored(reports.tests) if reports.tests else None
        address = (self._claim.job_id, self._claim.attempt, step)
        put = partial(rows.replace_reports, address=address, reports=reports, failures=failures)
        if not persist(self._database, partial(put, blob=blob)):
            persist(self._database, partial(put, blob=None))

    def _compared(self, step: int, tests: TestResults) -> Sequence[FailedTest]:
        """The rows of a report: what failed, and what is flaky: red and green at the same commit."""
        with reading(self._database) as session:
            others = rows.reports_at_commit(session, self._claim.job_id, step)
            earlier = rows.failures_of(session, [each.id for each in others], FAILURES_COUNT_MAX)
            red = {each.test: each for each in map(rows.as_failed, earlier)}
        failed = {each.test for each in tests.failures}
        now_green = [
            replace(each, state=PASSED, flaky=True)
            for each in red.values()
            if each.test not in failed and tests.passed(each.test)
        ]
        green = self._green(tests.failures, [each for each in others if each.job_id != self._claim.job_id])
        now_red = [replace(each, flaky=True) if each.test in green else each for each in tests.failures]
        return [*now_red, *now_green][:FAILURES_COUNT_MAX]

    def _green(self, failures: Sequence[FailedTest], others: Sequence[StepReport]) -> set[object]:
        """Those of the failed tests that have passed in other runs of the commit."""
        found: set[object] = set()
        if not failures:
            return found
        for report in others[:COMPARED_BLOBS_COUNT_MAX]:
            try:
                cases = b"".join(cases_of(self._blobs, report)).decode(errors="replace")
            except OSError as error:
                _log.warning("earlier results of tests cannot be read", report=report.id, error=str(error))
                continue
            found |= {each.test for each in failures if f"\n{PASSED}{each.test.line_start}" in cases}
        return found

    def _stored(self, tests: TestResults) -> CasesBlob | None:
        """Stores all tests as a blob. None where the blob store is away: the rows are stored without it."""
        data = zlib.compress(tests.cases.encode(errors="replace"), _LEVEL)
        try:
            (stored,) = self._artifacts.store([FoundFile("cases", len(data), False, partial(BytesIO, data))])  # noqa: FBT003
        except OSError as error:
            _log.warning("the list of all tests cannot be stored", error=str(error))
            return None
        return CasesBlob(stored.blob_key, stored.content.size_bytes, stored.content.sha256)


def cases_of(blobs: BlobStore, report: StepReport) -> Iterator[bytes]:
    """The lines of all tests of a report, in pieces. Raises BlobError."""
    if report.blob_key is None:
        return
    unpack, left = zlib.decompressobj(), CASES_BYTES_MAX
    expected = StoredBlob(report.blob_bytes, report.blob_sha256)
    for piece in blobs.get(blob_name(report.blob_key), expected):
        data = unpack.decompress(piece, left)
        left -= len(data)
        yield data
        if left <= 0:
            return
