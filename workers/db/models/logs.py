"""The tables of stored logs: which there are, and where the parts of each are in the blob store."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import Base

_NO_JOB, _REPLACED = text("job_id IS NULL"), text("replaced_ms IS NOT NULL")
_SHARED = text("blobs_of IS NOT NULL")


class StoredLog(Base):
    """The log of one step in one attempt. ``key`` is random: it names the log's blobs, and no other database has it.

    ``state`` is ``open`` while a writer has it, ``suspended`` where another writer may continue it, ``complete``, or
    ``cut`` where the rest could not be stored. Without a job it is to be deleted: its run, or its retention, is over.
    ``blobs_of`` is the key of the log whose segments it shares, where its step ran in another run: none of its own.
    """

    __tablename__ = "stored_logs"
    __table_args__ = (
        UniqueConstraint("job_id", "step_number", "attempt"),
        Index("ix_stored_logs_deleted", "key", sqlite_where=_NO_JOB, postgresql_where=_NO_JOB),
        Index("ix_stored_logs_shared", "blobs_of", sqlite_where=_SHARED, postgresql_where=_SHARED),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    step_number: Mapped[int]
    attempt: Mapped[int]
    state: Mapped[str] = mapped_column(default="open")
    blobs_of: Mapped[str | None]
    created_ms: Mapped[int]


class LogSegment(Base):
    """A part of a log, in one blob: frames one after another, and then where the bytes came from.

    ``frames`` has a record for each frame (``workers.logs.index``), so that one range of the blob is enough to read a
    line. ``newlines`` are inside, ``newlines_before`` before it. With ``replaced_ms`` a larger segment has its bytes,
    and its blob is to be deleted.
    """

    __tablename__ = "log_segments"
    __table_args__ = (
        Index("ix_log_segments_replaced", "replaced_ms", sqlite_where=_REPLACED, postgresql_where=_REPLACED),
    )

    log_key: Mapped[str] = mapped_column(ForeignKey("stored_logs.key", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    level: Mapped[int]
    raw_offset: Mapped[int]
    raw_bytes: Mapped[int]
    newlines_before: Mapped[int]
    newlines: Mapped[int]
    ends_line: Mapped[bool]
    at_ms: Mapped[int]
    blob: Mapped[str]
    blob_bytes: Mapped[int]
    frames_bytes: Mapped[int]
    frames: Mapped[bytes]
    replaced_ms: Mapped[int | None]
