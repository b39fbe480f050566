"""The branches and tags of repositories, so that pushes are found whose webhook did not come."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_NO_RUN = "run_id IS NULL AND sha <> ''"
_OPEN = "state IN ('new', 'missed')"
_STARTED = "run_id IS NOT NULL"


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    op.create_table(
        "heads",
        sa.Column("repo_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("commit_sha", sa.Text(), nullable=False),
        sa.Column("previous_sha", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")),
        sa.PrimaryKeyConstraint("repo_id", "ref", name="pk_heads"),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name="fk_heads_repo_id_repos", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_heads_run_id_runs", ondelete="SET NULL"),
    )
    op.create_index("ix_heads_run_id", "heads", ["run_id"])
    _partial("ix_heads_open", "heads", ["repo_id"], _OPEN)
    _partial("ix_heads_started", "heads", ["repo_id"], _STARTED)
    op.create_table(
        "head_checks",
        sa.Column("repo_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("clone_url", sa.Text(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("repo_id", name="pk_head_checks"),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name="fk_head_checks_repo_id_repos", ondelete="CASCADE"),
    )
    op.create_index("ix_head_checks_next_ms", "head_checks", ["next_ms"])
    _partial("ix_deliveries_without_run", "deliveries", ["repo_id", "sha"], _NO_RUN)


def downgrade() -> None:
    op.drop_index("ix_deliveries_without_run", "deliveries")
    op.drop_table("head_checks")
    op.drop_table("heads")
