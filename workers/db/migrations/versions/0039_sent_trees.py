"""Working trees that people send with `headway run --remote`."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0037"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    repo = sa.ForeignKey("repos.id", name="fk_sent_trees_repo_id_repos", ondelete="CASCADE")
    blob = sa.ForeignKey("artifact_blobs.key", name="fk_sent_trees_blob_key_artifact_blobs")
    op.create_table(
        "sent_trees",
        sa.Column("id", _ID, nullable=False),
        sa.Column("repo_id", _ID, repo, nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.Text(), blob, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sent_trees"),
    )
    op.create_index("ix_sent_trees_ref", "sent_trees", ["repo_id", "ref"], unique=True)
    op.create_index("ix_sent_trees_created_ms", "sent_trees", ["created_ms"])
    op.create_index("ix_sent_trees_blob_key", "sent_trees", ["blob_key"])


def downgrade() -> None:
    op.drop_table("sent_trees")
