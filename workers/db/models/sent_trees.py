"""The table of working trees that people have sent with ``headway run --remote``."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import ID, Base


class SentTree(Base):
    """The pack of git that has a sent tree: a blob, kept as artifacts' are. Its runs have the same ``ref``.

    A run that is repeated has the ref, too. ``size_bytes`` and ``sha256`` are those of the blob.
    """

    __tablename__ = "sent_trees"
    __table_args__ = (
        Index("ix_sent_trees_ref", "repo_id", "ref", unique=True),
        Index(None, "created_ms"),
        Index(None, "blob_key"),
    )

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    ref: Mapped[str]
    blob_key: Mapped[str] = mapped_column(ForeignKey("artifact_blobs.key"))
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    created_ms: Mapped[int]
