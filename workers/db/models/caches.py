"""The table of shared caches: versions of steps' caches, packed, in the blob store."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import ID, Base


class SharedCache(Base):
    """The version of a cache that was shared last under its key.

    ``place`` names the repository, and what the users of a cache must have in common; ``key_hash`` is of ``key``.
    ``size_bytes`` are those of the blob, ``archive_bytes`` of what is packed in it, and ``kept_bytes`` is the room that
    it takes up on a machine.
    """

    __tablename__ = "shared_caches"
    __table_args__ = (
        Index("ix_shared_caches_place", "place", "key_hash", unique=True),
        Index(None, "repo_id", "used_ms"),
        Index(None, "used_ms"),
        Index(None, "blob_key"),
    )

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    place: Mapped[str]
    key_hash: Mapped[str]
    key: Mapped[str]
    blob_key: Mapped[str] = mapped_column(ForeignKey("artifact_blobs.key"))
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    archive_bytes: Mapped[int]
    kept_bytes: Mapped[int]
    created_ms: Mapped[int]
    used_ms: Mapped[int]
