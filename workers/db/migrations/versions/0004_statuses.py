"""Commit statuses."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name in ("forge_token_sealed", "forge_api_url"):
        op.add_column("repos", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "statuses",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("told", sa.String(32), nullable=True),
        sa.Column("told_workflows", sa.JSON(), nullable=False),
        sa.Column("progress", sa.BigInteger(), nullable=False),
        sa.Column("next_try_ms", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_statuses_run_id_runs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_statuses"),
    )
    op.create_index("ix_statuses_next_try_ms", "statuses", ["next_try_ms"])


def downgrade() -> None:
    op.drop_table("statuses")
    for name in ("forge_api_url", "forge_token_sealed"):
        op.drop_column("repos", name)
