"""What the queries share: the fence, and inserting what may be there already."""

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from pipelines.problem import Problem
from pipelines.state import State
from workers.db.models import Base, Job


class StaleAttemptError(Exception):
    """The job is no longer this attempt's: its lease ran out, or it has ended. Whoever sees this must stop writing."""

    def __init__(self, job_id: int = 0, attempt: int = 0) -> None:
        which = f"Job {job_id} is" if job_id else "The job is"
        super().__init__(f"{which} no longer this attempt's ({attempt}).")


class AlreadyThereError(Exception):
    """Something of that name exists. The message says what."""


def table(entity: type[Base]) -> Table:
    """The table behind ``entity``, for statements that need no objects."""
    return cast("Table", entity.__table__)


def insert_or(session: Session, entity: type[Base]) -> postgresql.Insert:
    """An INSERT that can say what happens on a conflict."""
    return insert_for(session.get_bind().dialect.name, entity)


def insert_for(dialect: str, entity: type[Base]) -> postgresql.Insert:
    """The same for a database by its dialect's name; both spell it alike."""
    if dialect == "sqlite":
        return cast("postgresql.Insert", sqlite.insert(table(entity)))
    return postgresql.insert(table(entity))


def lock_attempt(session: Session, job_id: int, attempt: int) -> None:
    """Raises StaleAttemptError unless ``attempt`` works on the job, and keeps it so until the transaction ends."""
    held = select(Job.id).where(Job.id == job_id, Job.attempt == attempt, Job.state == State.RUNNING)
    if session.execute(held.with_for_update(read=True)).first() is None:
        raise StaleAttemptError(job_id, attempt)


def plain(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems as what a JSON column holds; ``text`` is what lint says, word for word."""
    return [problem._asdict() | {"text": str(problem)} for problem in problems]
