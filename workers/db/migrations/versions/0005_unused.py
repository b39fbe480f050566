"""Drops what no query used: when a job may begin at the earliest, and an index over when deliveries came."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_deliveries_received_ms", "deliveries")
    # SQLite drops a column by itself where no index or constraint names it.
    op.drop_column("jobs", "not_before_ms")


def downgrade() -> None:
    op.add_column("jobs", sa.Column("not_before_ms", sa.BigInteger(), nullable=True))
    op.create_index("ix_deliveries_received_ms", "deliveries", ["received_ms"])
