"""Jobs that wait for a forge that is away, what git said of a failure, and repositories that have moved."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TIMES = ("not_before_ms", "delayed_since_ms")
_TEXTS = ("delay_reason", "detail")


def upgrade() -> None:
    op.add_column("repos", sa.Column("moved_to", sa.Text(), nullable=False, server_default=""))
    for name in _TIMES:
        op.add_column("jobs", sa.Column(name, sa.BigInteger(), nullable=True))
    for name in _TEXTS:
        op.add_column("jobs", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("delays", sa.BigInteger(), nullable=False, server_default="0"))
    delayed = sa.text("not_before_ms IS NOT NULL")
    op.create_index("ix_jobs_delayed", "jobs", ["not_before_ms"], sqlite_where=delayed, postgresql_where=delayed)


def downgrade() -> None:
    op.drop_index("ix_jobs_delayed", "jobs")
    for name in ("delays", *_TEXTS, *_TIMES):
        op.drop_column("jobs", name)
    op.drop_column("repos", "moved_to")
