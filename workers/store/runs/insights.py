"""What the last runs of a branch say together: their steps, and their tests that failed, were flaky or slow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.state import State
from workers.db.models import Job, Step, StepReport, TestFailure

JOBS_READ_MAX, STEPS_READ_MAX = 2_000, 20_000
REPORTS_READ_MAX, FAILURES_READ_MAX = 500, 5_000
"""Of many, the newest. So much is read for the insights of a branch, however large its runs are."""
_AT_ONCE = 500
_T = TypeVar("_T")


@dataclass(frozen=True)
class PastStep:
    """A step of a run: of which workflow, how it ended, and how long it took."""

    workflow: str
    name: str
    state: State
    took_ms: int


@dataclass(frozen=True)
class PastFailure:
    """A test that failed or was flaky in one run."""

    suite: str
    group: str
    name: str
    run_id: int
    flaky: bool
    failed: bool


def past_steps(
    session: Session, run_ids: Sequence[int], jobs_max: int = JOBS_READ_MAX, steps_max: int = STEPS_READ_MAX
) -> list[PastStep]:
    """The steps that ran in these runs and have ended; those taken over from other runs are left out."""
    query = select(Job.id, Job.name).where(Job.run_id.in_(run_ids), Job.carried_from.is_(None))
    jobs = session.execute(query.order_by(Job.id.desc()).limit(jobs_max))
    names: dict[int, str] = {row[0]: row[1] for row in jobs}
    found: list[PastStep] = []
    for part in _parts(list(names)):
        ended = select(Step.job_id, Step.name, Step.state, Step.started_ms, Step.finished_ms).where(
            Step.job_id.in_(part), Step.started_ms.is_not(None), Step.finished_ms.is_not(None),
            Step.carried_from.is_(None),
        )  # fmt: skip
        rows = session.execute(ended.limit(steps_max - len(found)))
        found += [PastStep(names[row[0]], row[1], row[2], (row[4] or 0) - (row[3] or 0)) for row in rows]
        if len(found) >= steps_max:
            break
    return found


def past_reports(session: Session, run_ids: Sequence[int], most: int = REPORTS_READ_MAX) -> list[StepReport]:
    """The reports of these runs, the newest first."""
    query = select(StepReport).where(StepReport.run_id.in_(run_ids)).order_by(StepReport.id.desc())
    return list(session.scalars(query.limit(most)))


def past_failures_of(
    session: Session, reports: Sequence[StepReport], most: int = FAILURES_READ_MAX
) -> list[PastFailure]:  # fmt: skip
    """The tests of these reports that failed or were flaky."""
    runs = {report.id: report.run_id for report in reports}
    columns = (TestFailure.report_id, TestFailure.suite, TestFailure.group, TestFailure.name)
    query = select(*columns, TestFailure.flaky, TestFailure.state).where(TestFailure.report_id.in_(list(runs)))
    rows = session.execute(query.order_by(TestFailure.id.desc()).limit(most))
    return [PastFailure(row[1], row[2], row[3], runs[row[0]], row[4], row[5] != State.PASSED.value) for row in rows]


def _parts(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
