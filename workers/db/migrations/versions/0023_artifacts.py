"""Files that steps keep, and the blobs with their bytes."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LIVE, _EXPIRING = sa.text("dropped_ms IS NULL"), sa.text("expires_ms IS NOT NULL")


def upgrade() -> None:
    _blobs()
    _artifacts()


def _blobs() -> None:
    repo = sa.ForeignKey("repos.id", name="fk_artifact_blobs_repo_id_repos", ondelete="SET NULL")
    op.create_table(
        "artifact_blobs",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("repo_id", _ID, repo, nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.Column("dropped_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_artifact_blobs"),
    )
    op.create_index(
        "ix_artifact_blobs_content", "artifact_blobs", ["repo_id", "sha256"], unique=True,
        sqlite_where=_LIVE, postgresql_where=_LIVE,
    )  # fmt: skip
    op.create_index("ix_artifact_blobs_used_ms", "artifact_blobs", ["used_ms"])


def _artifacts() -> None:
    run = sa.ForeignKey("runs.id", name="fk_artifacts_run_id_runs", ondelete="CASCADE")
    job = sa.ForeignKey("jobs.id", name="fk_artifacts_job_id_jobs", ondelete="CASCADE")
    blob = sa.ForeignKey("artifact_blobs.key", name="fk_artifacts_blob_key_artifact_blobs")
    op.create_table(
        "artifacts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("run_id", _ID, run, nullable=False),
        sa.Column("job_id", _ID, job, nullable=False),
        sa.Column("step_number", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.Text(), blob, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint(
            "job_id", "step_number", "attempt", "path", name="uq_artifacts_job_id_step_number_attempt_path"
        ),
    )
    op.create_index("ix_artifacts_run_id", "artifacts", ["run_id"])
    op.create_index("ix_artifacts_blob_key", "artifacts", ["blob_key"])
    op.create_index(
        "ix_artifacts_expires", "artifacts", ["expires_ms"], sqlite_where=_EXPIRING, postgresql_where=_EXPIRING
    )


def downgrade() -> None:
    op.drop_table("artifacts")
    op.drop_table("artifact_blobs")
