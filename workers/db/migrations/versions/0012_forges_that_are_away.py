"""Jobs that wait for a forge that is away, what git said of a failure, and repositories that have moved."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OF_JOBS = (
    sa.Column("not_before_ms", sa.BigInteger(), nullable=True),
    sa.Column("delay_reason", sa.Text(), nullable=False, server_default=""),
    sa.Column("delayed_since_ms", sa.BigInteger(), nullable=True),
    sa.Column("delays", sa.BigInteger(), nullable=False, server_default="0"),
    sa.Column("detail", sa.Text(), nullable=False, server_default=""),
)


def upgrade() -> None:
    op.add_column("repos", sa.Column("moved_to", sa.Text(), nullable=False, server_default=""))
    for column in _OF_JOBS:
        op.add_column("jobs", column.copy())
    delayed = sa.text("not_before_ms IS NOT NULL")
    op.create_index("ix_jobs_delayed", "jobs", ["not_before_ms"], sqlite_where=delayed, postgresql_where=delayed)


def downgrade() -> None:
    op.drop_index("ix_jobs_delayed", "jobs")
    for column in _OF_JOBS:
        op.drop_column("jobs", column.name)
    op.drop_column("repos", "moved_to")
