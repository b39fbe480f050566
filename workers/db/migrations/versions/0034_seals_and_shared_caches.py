"""What proves the bytes of a blob of artifacts and tells it from others; and copies of caches that machines share."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("artifact_blobs", sa.Column("sample", sa.Text(), nullable=True))
    op.add_column("artifact_blobs", sa.Column("seal", sa.Text(), nullable=True))
    repo = sa.ForeignKey("repos.id", name="fk_shared_caches_repo_id_repos", ondelete="CASCADE")
    blob = sa.ForeignKey("artifact_blobs.key", name="fk_shared_caches_blob_key_artifact_blobs")
    op.create_table(
        "shared_caches",
        sa.Column("id", _ID, nullable=False),
        sa.Column("repo_id", _ID, repo, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.Text(), blob, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("archive_bytes", sa.BigInteger(), nullable=False),
        sa.Column("kept_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shared_caches"),
    )
    op.create_index("ix_shared_caches_place", "shared_caches", ["place", "key_hash"], unique=True)
    op.create_index("ix_shared_caches_repo_id_used_ms", "shared_caches", ["repo_id", "used_ms"])
    op.create_index("ix_shared_caches_used_ms", "shared_caches", ["used_ms"])
    op.create_index("ix_shared_caches_blob_key", "shared_caches", ["blob_key"])


def downgrade() -> None:
    op.drop_table("shared_caches")
    op.drop_column("artifact_blobs", "seal")
    op.drop_column("artifact_blobs", "sample")
