"""The audit log: rows that are only added, and deleted by their age and number."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from workers.db.models import AuditEntry
from workers.db.session import now_ms
from workers.store.common import DAY_MS

ENTRIES_MAX = 1_000_000
DELETED_AT_ONCE_MAX = 10_000  # a longer transaction would keep other writers of SQLite waiting


def add_entry(session: Session, *, actor: str, source: str, action: str, target: str, detail: str) -> None:
    """Adds an entry with the time of the database."""
    values = {"actor": actor, "source": source, "action": action, "target": target, "detail": detail}
    session.execute(insert(AuditEntry).values(at_ms=now_ms(), **values))


def entries(session: Session, before: int | None = None, limit: int = 100) -> Sequence[AuditEntry]:
    """The newest entries first, those with an id below ``before``."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(AuditEntry.id < before)).all()


def drop_old_entries(
    session: Session, days: int, entries_max: int = ENTRIES_MAX, at_once_max: int = DELETED_AT_ONCE_MAX
) -> int:
    """Deletes entries older than ``days`` (0: none) and all but the newest ``entries_max``, the oldest first.

    Returns how many: at most ``at_once_max``; call it again for the others.
    """
    newest = select(AuditEntry.id).order_by(AuditEntry.id.desc())
    surplus = session.scalars(newest.offset(entries_max).limit(1)).one_or_none()
    too_many = AuditEntry.id <= (0 if surplus is None else surplus)
    too_old = AuditEntry.at_ms < now_ms() - days * DAY_MS
    gone = select(AuditEntry.id).where((too_many | too_old) if days else too_many)
    ids = session.scalars(gone.order_by(AuditEntry.id).limit(at_once_max)).all()
    if ids:
        session.execute(delete(AuditEntry).where(AuditEntry.id <= ids[-1], AuditEntry.id.in_(gone)))
    return len(ids)
