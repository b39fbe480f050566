"""What was measured of the database, the blob store and each machine's disk."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from workers.db.models import DiskReport
from workers.db.session import now_ms
from workers.store.common import DAY_MS, insert_or

SERVER = "server"
"""The report of what all machines share; each machine has one of its own."""
_KEPT_MS = 7 * DAY_MS


def put_report(session: Session, name: str, facts: Mapping[str, Any]) -> None:
    """Stores a report in place of the one before, and forgets machines that have sent none for a week."""
    values = {"measured_ms": now_ms(), "facts": dict(facts)}
    insert = insert_or(session, DiskReport).values(name=name, **values)
    session.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))
    session.execute(delete(DiskReport).where(DiskReport.measured_ms < now_ms() - _KEPT_MS))


def reports(session: Session) -> Sequence[DiskReport]:
    """All reports by name."""
    return session.scalars(select(DiskReport).order_by(DiskReport.name)).all()
