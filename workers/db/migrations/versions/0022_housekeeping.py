"""How long a repository's rows are kept, and what was measured of the disks."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_VALUES = ("log_days", "run_days", "run_count", "delivery_days", "delivery_count")


def upgrade() -> None:
    op.create_table(
        "retention",
        sa.Column("repo_id", _ID, sa.ForeignKey("repos.id", name="fk_retention_repo_id_repos", ondelete="CASCADE")),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _VALUES),
        sa.PrimaryKeyConstraint("repo_id", name="pk_retention"),
    )
    op.create_table(
        "disk_reports",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("measured_ms", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_disk_reports"),
    )


def downgrade() -> None:
    op.drop_table("disk_reports")
    op.drop_table("retention")
