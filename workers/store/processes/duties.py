"""What fails of the scheduler's work: a row for each of its duties that fails, until it succeeds again."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from workers.db.models import FailedDuty
from workers.db.session import now_ms
from workers.store.common import insert_or

PROBLEM_CHARS_MAX = 2_000
WAKE_UPS = "wake-ups"
"""The duty that sends lost wake-ups again."""


def note_failed_duty(session: Session, name: str, problem: str) -> None:
    """Notes why a duty fails; the time at which that began stays."""
    shown = problem[:PROBLEM_CHARS_MAX]
    insert = insert_or(session, FailedDuty).values(name=name, problem=shown, since_ms=now_ms())
    session.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"problem": shown}))


def note_done_duty(session: Session, name: str) -> None:
    """Notes that a duty does not fail any more."""
    session.execute(delete(FailedDuty).where(FailedDuty.name == name))


def failed_duties(session: Session) -> Sequence[FailedDuty]:
    """The duties that fail, by name."""
    return session.scalars(select(FailedDuty).order_by(FailedDuty.name)).all()
