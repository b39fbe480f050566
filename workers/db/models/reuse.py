"""The table of results that later runs may take: of steps with sources that have passed."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import ID, Base


class ReuseRecord(Base):
    """The result of a step that passed. It counts once its run has passed, and as long as all that it left is there.

    ``key`` stands for all that the result depends on, and ``parts`` are short digests of it by name, to say what has
    changed. ``title`` is a hash of the workflow, the cell and the step. ``artifacts`` is how many files it kept.
    """

    __tablename__ = "reuse_records"
    __table_args__ = (
        Index("ix_reuse_records_key", "repo_id", "key", "id"),
        Index("ix_reuse_records_title", "repo_id", "title", "id"),
        Index(None, "job_id"),
    )

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    step_number: Mapped[int]
    key: Mapped[str]
    title: Mapped[str]
    parts: Mapped[dict[str, str]] = mapped_column(default=dict)
    artifacts: Mapped[int]
    duration_ms: Mapped[int]
    created_ms: Mapped[int]
