"""Queries of files that failed jobs have left on their machines. The rows say which there are, and until when."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from workers.db.models import Job
from workers.db.session import now_ms
from workers.store.common import table

HOUR_MS = 3_600_000


class KeptJob(NamedTuple):
    """The files of a job: its random name, and how much room they take."""

    key: str
    size_bytes: int


def keep_files(session: Session, job_id: int, attempt: int, hours: int, size_bytes: int) -> bool:
    """Notes that the machine of this attempt keeps the job's files. False where the job is gone, or another's."""
    jobs = table(Job)
    mine = (jobs.c.id == job_id) & (jobs.c.attempt == attempt) & jobs.c.finished_ms.is_not(None)
    values = {"kept_until_ms": now_ms() + hours * HOUR_MS, "kept_bytes": size_bytes}
    return bool(session.execute(update(jobs).where(mine).values(values).returning(jobs.c.id)).all())


def forget_files(session: Session, keys: Collection[str]) -> None:
    """Notes that the files of the jobs with these names are kept no more."""
    jobs = table(Job)
    session.execute(update(jobs).where(jobs.c.key.in_(keys)).values(kept_until_ms=None, kept_bytes=None))


def kept_jobs(session: Session, keys: Collection[str]) -> list[KeptJob]:
    """Those of the jobs with these names whose files are to be kept."""
    query = select(Job.key, Job.kept_bytes).where(Job.key.in_(keys), Job.kept_until_ms > now_ms())
    return [KeptJob(key, size_bytes or 0) for key, size_bytes in session.execute(query)]


def files_for(session: Session, job_id: int) -> tuple[int | None, str]:
    """The job whose files this one goes on with, by its id, and its name; an empty name where none are kept."""
    source_id = session.scalar(select(Job.files_of).where(Job.id == job_id))
    if source_id is None:
        return None, ""
    kept = select(Job.key).where(Job.id == source_id, Job.kept_until_ms > now_ms())
    return source_id, session.scalar(kept) or ""
