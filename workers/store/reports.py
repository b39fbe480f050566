"""Queries of reports. Each write of a job names (job, attempt); a stale attempt is refused."""

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from pipelines.trigger import PULL_REQUEST_EVENTS
from runner.report_results import ERROR, FAILED, CaseName, FailedTest, StepReports
from workers.db.models import ArtifactBlob, Job, Repo, Run, Step, StepReport, TestFailure
from workers.db.session import now_ms
from workers.store.common import CARRIED_ATTEMPT, insert_or, lock_attempt, table
from workers.store.covered_files import to_store

AT_COMMIT_COUNT_MAX = 20
"""So many reports of the same step at the same commit are compared with a new one."""
KNOWN_COUNT_MAX = 20_000
COMPARED_NUMBERS_MAX = 1000
"""Reports of a run whose number is smaller by more say nothing about new failures, and would be searched for long."""


class CasesBlob(NamedTuple):
    """The blob with all tests of a step."""

    key: str
    size_bytes: int
    sha256: str


class ShownReport(NamedTuple):
    """The reports of a step as they are shown: with the job and the step that they are of."""

    report: StepReport
    job: Job
    step_id: int
    step_name: str


def key_of(test: CaseName) -> str:
    """A hash of what identifies a test within its repository."""
    return hashlib.sha256("\0".join(test).encode(errors="replace")).hexdigest()[:32]


def replace_reports(
    session: Session, address: tuple[int, int, int], reports: StepReports, failures: Sequence[FailedTest],
    blob: CasesBlob | None,
) -> bool:  # fmt: skip
    """Stores the reports of (job, attempt, step) in place of those before. Idempotent.

    False, and nothing is stored, where the blob was dropped meanwhile. Raises StaleAttemptError.
    """
    job_id, attempt, step_number = address
    origin = lock_attempt(session, job_id, attempt)
    if blob is not None:
        blobs = table(ArtifactBlob)
        used = update(blobs).where(blobs.c.key == blob.key, blobs.c.dropped_ms.is_(None)).values(used_ms=now_ms())
        if session.execute(used.returning(blobs.c.key)).one_or_none() is None:
            return False
    rows = table(StepReport)
    session.execute(delete(rows).where(rows.c.job_id == job_id, rows.c.step_number == step_number))
    run_id, repo_id = session.execute(select(Run.id, Run.repo_id).join(Job).where(Job.id == job_id)).one()
    tests, coverage = reports.tests, reports.coverage
    files, unlisted = to_store(session, run_id, reports.covered_files)
    values = files | {
        "repo_id": repo_id, "run_id": run_id, "job_id": job_id, "step_number": step_number, "attempt": origin,
        "counts": dict(tests.counts) if tests else {}, "duration_ms": tests.duration_ms if tests else 0,
        "slowest": [{**test._asdict(), "duration_ms": ms} for ms, test in (tests.slowest if tests else ())],
        "warnings": [*reports.warnings, *([unlisted] if unlisted else [])], "created_ms": now_ms(),
        "covered_lines": coverage.covered_lines if coverage else None,
        "total_lines": coverage.total_lines if coverage else None,
        "blob_key": blob.key if blob else None, "blob_bytes": blob.size_bytes if blob else 0,
        "blob_sha256": blob.sha256 if blob else "",
    }  # fmt: skip
    report_id = session.execute(insert_or(session, StepReport).values(values).returning(rows.c.id)).scalar_one()
    if failures:
        session.execute(insert(TestFailure), [_row(each, report_id, repo_id) for each in failures])
    return True


def _row(failed: FailedTest, report_id: int, repo_id: int) -> dict[str, object]:
    return {
        "report_id": report_id, "repo_id": repo_id, "key": key_of(failed.test), "state": failed.state,
        "flaky": failed.flaky, **failed.test._asdict(), "file": failed.file, "line": failed.line,
        "message": failed.message, "text": failed.text, "duration_ms": failed.duration_ms,
    }  # fmt: skip


def as_failed(row: TestFailure) -> FailedTest:
    """The test of a row."""
    name = CaseName(row.suite, row.group, row.name)
    return FailedTest(name, row.state, row.file, row.line, row.message, row.text, row.duration_ms, flaky=row.flaky)


def reports_at_commit(session: Session, job_id: int, step_number: int) -> Sequence[StepReport]:
    """Reports of this step of the same commit, newest first: of earlier attempts, and of other runs.

    Only of runs of the same trust: else a fork would say which tests of the repository are flaky, and with which words.
    """
    own = session.execute(select(Job, Run).join(Run).where(Job.id == job_id)).one_or_none()
    if own is None:
        return []
    job, run = own
    query = (
        select(StepReport, Job)
        .join(Run, Run.id == StepReport.run_id)
        .join(Job, Job.id == StepReport.job_id)
        .where(Run.repo_id == run.repo_id, Run.sha == run.sha, Run.on_branch.is_not_distinct_from(run.on_branch))
        .where(Job.name == job.name, StepReport.step_number == step_number)
        .order_by(StepReport.id.desc())
    )
    found = session.execute(query.limit(10 * AT_COMMIT_COUNT_MAX))
    return [report for report, of in found if of.cell == job.cell][:AT_COMMIT_COUNT_MAX]


def failures_of(session: Session, report_ids: Collection[int], limit: int, after_id: int = 0) -> Sequence[TestFailure]:
    """The tests of these reports that failed or are flaky, in the order of their ids."""
    query = select(TestFailure).where(TestFailure.report_id.in_(report_ids), TestFailure.id > after_id)
    return session.scalars(query.order_by(TestFailure.id).limit(limit)).all()


def reports_of_run(session: Session, run_id: int) -> list[ShownReport]:
    """The reports of a run that count, in the order of its jobs and steps."""
    query = (
        select(StepReport, Job, Step.id, Step.name)
        .join(Job, Job.id == StepReport.job_id)
        .outerjoin(Step, (Step.job_id == StepReport.job_id) & (Step.number == StepReport.step_number))
        .where(StepReport.run_id == run_id, StepReport.attempt.in_([CARRIED_ATTEMPT, Job.attempt - Job.takeovers]))
        .order_by(Job.number, StepReport.step_number)
    )
    return [ShownReport(report, job, step_id or 0, name or "") for report, job, step_id, name in session.execute(query)]


def compared_run(session: Session, repo: Repo, run: Run) -> Run | None:
    """The run whose tests those of this one are compared with: the last one before it that has ended with reports.

    It is on the branch that this one is to be merged into: of a pull request its target, else the default branch. A
    commit that no branch has, and that was run by hand in its name, does not count.
    """
    branch = run.branch if run.event in PULL_REQUEST_EVENTS else repo.default_branch
    has_reports = exists().where(StepReport.run_id == Run.id)
    query = select(Run).where(
        Run.repo_id == run.repo_id, Run.branch == branch, Run.finished_ms.is_not(None),
        Run.number < run.number, Run.number >= run.number - COMPARED_NUMBERS_MAX,
        Run.event.not_in(PULL_REQUEST_EVENTS), has_reports, Run.on_branch.is_distinct_from(other=False),
    )  # fmt: skip
    return session.scalars(query.order_by(Run.number.desc()).limit(1)).one_or_none()


def failed_keys(session: Session, run_id: int) -> set[str]:
    """The keys of all tests that failed in this run."""
    query = (
        select(TestFailure.key)
        .join(StepReport, StepReport.id == TestFailure.report_id)
        .where(StepReport.run_id == run_id, or_(TestFailure.state == FAILED, TestFailure.state == ERROR))
    )
    return set(session.scalars(query.limit(KNOWN_COUNT_MAX)))


def reports_with_tests(session: Session, repo_id: int, limit: int, before_id: int = 0) -> list[tuple[StepReport, Run]]:
    """The reports of a repository that count, newest first, each with its run; of those before this one."""
    counts = StepReport.attempt.in_([CARRIED_ATTEMPT, Job.attempt - Job.takeovers])
    query = (
        select(StepReport, Run)
        .join(Run, Run.id == StepReport.run_id)
        .join(Job, Job.id == StepReport.job_id)
        .where(StepReport.repo_id == repo_id, counts)
    )
    if before_id:
        query = query.where(StepReport.id < before_id)
    found = session.execute(query.order_by(StepReport.id.desc()).limit(limit))
    return [(report, run) for report, run in found]


def failures_of_test(session: Session, report_ids: Collection[int], key: str) -> dict[int, TestFailure]:
    """The rows of a test that failed or was flaky, by their reports; of several in one report the last."""
    query = select(TestFailure).where(TestFailure.key == key, TestFailure.report_id.in_(report_ids))
    return {row.report_id: row for row in session.scalars(query.order_by(TestFailure.id))}
