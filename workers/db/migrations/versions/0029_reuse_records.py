"""Results of steps with sources, which later runs may take."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    repo = sa.ForeignKey("repos.id", name="fk_reuse_records_repo_id_repos", ondelete="CASCADE")
    job = sa.ForeignKey("jobs.id", name="fk_reuse_records_job_id_jobs", ondelete="CASCADE")
    op.create_table(
        "reuse_records",
        sa.Column("id", _ID, nullable=False),
        sa.Column("repo_id", _ID, repo, nullable=False),
        sa.Column("job_id", _ID, job, nullable=False),
        sa.Column("step_number", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("artifacts", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reuse_records"),
    )
    op.create_index("ix_reuse_records_key", "reuse_records", ["repo_id", "key", "id"])
    op.create_index("ix_reuse_records_title", "reuse_records", ["repo_id", "title", "id"])
    op.create_index("ix_reuse_records_job_id", "reuse_records", ["job_id"])


def downgrade() -> None:
    op.drop_table("reuse_records")
