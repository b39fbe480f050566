"""How much room rows and logs take, counted by rows: the blob store is never listed."""

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from workers.db.models import (
    Artifact,
    ArtifactBlob,
    AuditEntry,
    Base,
    Delivery,
    Job,
    LogSegment,
    Run,
    Step,
    StoredLog,
    TestFailure,
)

LARGE: tuple[type[Base], ...] = (Run, Job, Step, StoredLog, LogSegment, Artifact, TestFailure, Delivery, AuditEntry)
"""The tables that grow."""
PARTS = "0123456789abcdef"
"""The first digits of logs' keys, which are random: each is for a sixteenth of them."""


def database_bytes(session: Session) -> int:
    """The size of the database. SQLite's write-ahead log is not in it."""
    if session.get_bind().dialect.name == "sqlite":
        pages = session.execute(text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
        return int(pages.scalar_one())
    return int(session.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def rows_of(session: Session, table: type[Base]) -> int:
    """How many rows the table has."""
    return session.scalar(select(func.count()).select_from(table)) or 0


def runs_by_repo(session: Session) -> dict[int, int]:
    """How many runs each repository has."""
    query = select(Run.repo_id, func.count()).group_by(Run.repo_id)
    return {repo_id: count for repo_id, count in session.execute(query)}  # noqa: C416 - of rows to a dictionary


def log_bytes_by_repo(session: Session, part: str) -> Counter[int | None]:
    """The bytes of a part of the stored logs, by repository; None: to be deleted."""
    query = (
        select(Run.repo_id, func.sum(LogSegment.blob_bytes))
        .select_from(LogSegment)
        .join(StoredLog, StoredLog.key == LogSegment.log_key)
        .outerjoin(Job, Job.id == StoredLog.job_id)
        .outerjoin(Run, Run.id == Job.run_id)
        .where(LogSegment.log_key >= part, LogSegment.log_key < f"{part}g")
        .group_by(Run.repo_id)
    )
    return Counter({repo_id: int(total) for repo_id, total in session.execute(query)})


def artifact_bytes(session: Session) -> int:
    """The bytes of all blobs of artifacts, also of those that are to be deleted."""
    return int(session.scalar(select(func.sum(ArtifactBlob.size_bytes))) or 0)


def added(parts: Iterable[Counter[int | None]]) -> Counter[int | None]:
    """The sum of all parts."""
    total: Counter[int | None] = Counter()
    for each in parts:
        total.update(each)
    return total
