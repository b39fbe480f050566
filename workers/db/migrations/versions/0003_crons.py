"""Crons."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "crons",
        sa.Column("id", ID, nullable=False),
        sa.Column("repo_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("expression", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name="fk_crons_repo_id_repos", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["last_run_id"], ["runs.id"], name="fk_crons_last_run_id_runs", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_crons"),
        sa.UniqueConstraint("repo_id", "name", name="uq_crons_repo_id_name"),
    )
    op.create_index("ix_crons_next_ms", "crons", ["next_ms"])
    op.create_index("ix_crons_last_run_id", "crons", ["last_run_id"])


def downgrade() -> None:
    op.drop_table("crons")
