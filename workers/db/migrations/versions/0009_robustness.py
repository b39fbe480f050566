"""How long a lease lasts, why a worker takes no job, and what fails of the scheduler's work."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("lease_s", sa.BigInteger(), nullable=True))
    op.add_column("workers", sa.Column("problem", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "failed_duties",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_failed_duties"),
    )


def downgrade() -> None:
    op.drop_table("failed_duties")
    # SQLite drops a column by itself where no index or constraint names it.
    op.drop_column("workers", "problem")
    op.drop_column("jobs", "lease_s")
