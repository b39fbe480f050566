"""Re-running a part of a run: what was asked, what was carried over from which run, and logs that share their bytes."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("rerun", sa.JSON()))
    for table in ("jobs", "steps"):
        op.add_column(table, sa.Column("carried_from", sa.BigInteger()))
    op.add_column("stored_logs", sa.Column("blobs_of", sa.Text()))
    shared = sa.text("blobs_of IS NOT NULL")
    op.create_index("ix_stored_logs_shared", "stored_logs", ["blobs_of"], sqlite_where=shared, postgresql_where=shared)


def downgrade() -> None:
    op.drop_index("ix_stored_logs_shared", "stored_logs")
    op.drop_column("stored_logs", "blobs_of")
    for table in ("steps", "jobs"):
        op.drop_column(table, "carried_from")
    op.drop_column("runs", "rerun")
