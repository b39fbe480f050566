"""Workers that are known, concurrency groups, and why a run or a job was canceled."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("slots", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )
    op.add_column("repos", sa.Column("newest_wins", sa.JSON(), nullable=False, server_default='["pull_request"]'))
    op.add_column("runs", sa.Column("cancel_reason", sa.String(32), nullable=True))
    op.add_column("jobs", sa.Column("group_key", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("group_name", sa.Text(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("group_limit", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("jobs", sa.Column("cancel_by", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_jobs_group_key", "jobs", ["group_key"])


def downgrade() -> None:
    op.drop_index("ix_jobs_group_key", "jobs")
    # SQLite drops a column by itself only where nothing else names it, as is so here.
    for column in ("cancel_by", "group_limit", "group_name", "group_key"):
        op.drop_column("jobs", column)
    op.drop_column("runs", "cancel_reason")
    op.drop_column("repos", "newest_wins")
    op.drop_table("workers")
