"""What the queries share: the fence against stale attempts, and INSERT for rows that may already exist."""

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from pipelines.problem import Problem
from pipelines.state import State
from workers.db.models import Base, Job

DAY_MS = 86_400_000
CLOCK_STEP_MS = 1000
"""The database's clock may be corrected by less than this without anything to be seen of it."""

CARRIED_ATTEMPT = 0
"""The attempt of artifacts and reports of steps that ran in another run: no job has it, and they always count."""


class StaleAttemptError(Exception):
    """The job no longer belongs to this attempt: its lease expired, or it has ended. The caller must stop writing."""

    def __init__(self, job_id: int = 0, attempt: int = 0) -> None:
        which = f"Job {job_id} is" if job_id else "The job is"
        super().__init__(f"{which} no longer this attempt's ({attempt}).")


class AlreadyThereError(Exception):
    """The name is taken. The message says by what."""


def table(entity: type[Base]) -> Table:
    """The table behind ``entity``, for statements that need no objects."""
    return cast("Table", entity.__table__)


def insert_or(session: Session, entity: type[Base]) -> postgresql.Insert:
    """An INSERT that supports ON CONFLICT."""
    return insert_for(session.get_bind().dialect.name, entity)


def insert_for(dialect: str, entity: type[Base]) -> postgresql.Insert:
    """``insert_or`` for a dialect by its name. SQLite and PostgreSQL have the same syntax."""
    if dialect == "sqlite":
        return cast("postgresql.Insert", sqlite.insert(table(entity)))
    return postgresql.insert(table(entity))


def lock_attempt(session: Session, job_id: int, attempt: int) -> int:
    """Locks the job's row until the transaction ends. Raises StaleAttemptError unless ``attempt`` works on the job.

    Returns the job's ``origin``.
    """
    held = select(Job.takeovers).where(Job.id == job_id, Job.attempt == attempt, Job.state == State.RUNNING)
    takeovers = session.scalar(held.with_for_update(read=True))
    if takeovers is None:
        raise StaleAttemptError(job_id, attempt)
    return attempt - takeovers


def plain(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems as values for a JSON column. ``text`` is the line that ``headway lint`` prints."""
    return [problem._asdict() | {"text": str(problem)} for problem in problems]
