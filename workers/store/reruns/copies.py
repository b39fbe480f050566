"""Copies of what steps of another run have left: rows of artifacts and reports, which share the blobs."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Table, insert, literal, or_, select
from sqlalchemy.orm import Session

from workers.db.models import Artifact, Job, StepReport, TestFailure
from workers.db.session import now_ms
from workers.store.common import CARRIED_ATTEMPT, table


def copy_artifacts(
    session: Session, source: Job, target: Job, steps: Collection[int], attempt: int = CARRIED_ATTEMPT
) -> None:
    """Artifacts of these steps that have not expired. They count in ``attempt`` of the target."""
    _copy(session, table(Artifact), kept_artifacts(source, steps), _placed(target, attempt))


def kept_artifacts(source: Job, steps: Collection[int]) -> ColumnElement[bool]:
    """Which artifacts these steps have kept, as far as they have not expired."""
    rows = table(Artifact)
    unexpired = or_(rows.c.expires_ms.is_(None), rows.c.expires_ms > now_ms())
    return rows.c.step_number.in_(steps) & _counts(rows, source) & unexpired


def copy_reports(
    session: Session, source: Job, target: Job, steps: Collection[int], attempt: int = CARRIED_ATTEMPT
) -> None:
    """Reports of these steps, with their failed tests. They count in ``attempt`` of the target."""
    rows, failures = table(StepReport), table(TestFailure)
    of_steps = rows.c.step_number.in_(steps) & _counts(rows, source)
    for report_id in session.scalars(select(rows.c.id).where(of_steps).order_by(rows.c.id)).all():
        copied = _copy(session, rows, rows.c.id == report_id, _placed(target, attempt))
        _copy(session, failures, failures.c.report_id == report_id, {"report_id": copied[0]})


def _placed(target: Job, attempt: int) -> dict[str, int]:
    return {"run_id": target.run_id, "job_id": target.id, "attempt": attempt}


def _counts(rows: Table, source: Job) -> ColumnElement[bool]:
    return (rows.c.job_id == source.id) & rows.c.attempt.in_([CARRIED_ATTEMPT, source.origin])


def _copy(session: Session, rows: Table, which: ColumnElement[bool], other: dict[str, int]) -> list[int]:
    """Copies these rows, with other values in some columns. Returns the ids of the copies."""
    names = [column.name for column in rows.columns if column.name != "id"]
    values = [literal(other[name]) if name in other else rows.c[name] for name in names]
    copies = insert(rows).from_select(names, select(*values).where(which).order_by(rows.c.id))
    return list(session.scalars(copies.returning(rows.c.id)))
