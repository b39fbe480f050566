"""Branches and tags as Headway has seen them last, so that it finds pushes whose webhook did not come."""

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import ID, Base

_OPEN = "state IN ('new', 'missed')"
_STARTED = "run_id IS NOT NULL"


class Head(Base):
    """What a branch or tag points to, as it was seen last. ``commit_sha`` is the commit that an annotated tag names.

    ``state`` is known (nothing to do), new (a webhook may be on its way), missed (reported) or found: Headway started a
    run of it. ``run_id`` is that run until a late webhook has come for it. ``previous_sha`` is what it was before.
    """

    __tablename__ = "heads"
    __table_args__ = (
        Index("ix_heads_open", "repo_id", sqlite_where=text(_OPEN), postgresql_where=text(_OPEN)),
        Index("ix_heads_started", "repo_id", sqlite_where=text(_STARTED), postgresql_where=text(_STARTED)),
        Index(None, "run_id"),
    )

    repo_id: Mapped[int] = mapped_column(ID, ForeignKey("repos.id", ondelete="CASCADE"), primary_key=True)
    ref: Mapped[str] = mapped_column(primary_key=True)
    sha: Mapped[str]
    commit_sha: Mapped[str]
    previous_sha: Mapped[str] = mapped_column(default="")
    state: Mapped[str] = mapped_column(default="known")
    first_seen_ms: Mapped[int]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))


class HeadCheck(Base):
    """When a repository's server is asked next, and what it said last: ``problem`` is empty where it answered.

    ``clone_url`` is the address whose heads are known, empty where none are: at another address all are new.
    """

    __tablename__ = "head_checks"

    repo_id: Mapped[int] = mapped_column(ID, ForeignKey("repos.id", ondelete="CASCADE"), primary_key=True)
    clone_url: Mapped[str] = mapped_column(default="")
    next_ms: Mapped[int] = mapped_column(index=True)
    failures: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str] = mapped_column(default="")
