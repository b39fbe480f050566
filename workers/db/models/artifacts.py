"""The tables of artifacts: the files that steps kept, and the blobs with their bytes."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import ID, Base

_LIVE, _EXPIRING = text("dropped_ms IS NULL"), text("expires_ms IS NOT NULL")


class ArtifactBlob(Base):
    """The bytes of artifacts in the blob store: of a repository, one for each content.

    ``key`` is random: it names the blob, and no other database has it. ``sha256`` is None until the blob is stored.
    ``sample`` is a digest of a few bytes of it, None where it is small; ``seal`` proves that its bytes are those that
    were stored. Blobs that are older than these columns have neither.
    ``used_ms`` is when a step last kept it, or began to. With ``dropped_ms`` no artifact may refer to it any more: it
    is to be deleted, and without a repository it is, too.
    """

    __tablename__ = "artifact_blobs"
    __table_args__ = (
        Index(
            "ix_artifact_blobs_content", "repo_id", "sha256", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
        ),
        Index(None, "used_ms"),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    repo_id: Mapped[int | None] = mapped_column(ForeignKey("repos.id", ondelete="SET NULL"))
    sha256: Mapped[str | None]
    sample: Mapped[str | None]
    seal: Mapped[str | None]
    size_bytes: Mapped[int]
    used_ms: Mapped[int]
    dropped_ms: Mapped[int | None]


class Artifact(Base):
    """One file that a step kept. It counts only in the job's ``origin`` attempt, or if it is carried over (attempt 0),
    and until it expires.

    ``mode`` is 0o755 for a program, else 0o644; ``name`` is what the step calls its artifacts. ``sha256`` and
    ``size_bytes`` are those of the blob.
    """

    __tablename__ = "artifacts"
    __table_args__ = (
        UniqueConstraint("job_id", "step_number", "attempt", "path"),
        Index(None, "run_id"),
        Index(None, "blob_key"),
        Index("ix_artifacts_expires", "expires_ms", sqlite_where=_EXPIRING, postgresql_where=_EXPIRING),
    )

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    step_number: Mapped[int]
    attempt: Mapped[int]
    name: Mapped[str]
    path: Mapped[str]
    size_bytes: Mapped[int]
    mode: Mapped[int]
    sha256: Mapped[str]
    blob_key: Mapped[str] = mapped_column(ForeignKey("artifact_blobs.key"))
    created_ms: Mapped[int]
    expires_ms: Mapped[int | None]
