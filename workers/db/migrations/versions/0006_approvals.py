"""Untrusted runs: where their commits are, which wait for approval, and what was approved."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("repos", sa.Column("trust_ssh", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("repos", sa.Column("untrusted_runs", sa.Text(), nullable=False, server_default="approve"))
    op.add_column("repos", sa.Column("pipeline_from", sa.Text(), nullable=False, server_default="commit"))
    op.add_column("runs", sa.Column("on_branch", sa.Boolean(), nullable=True))
    op.add_column("runs", sa.Column("held", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("runs", sa.Column("approved_by", sa.Text(), nullable=False, server_default=""))
    op.create_index(
        "ix_runs_held", "runs", ["repo_id"], sqlite_where=sa.text("held = 1"), postgresql_where=sa.text("held")
    )
    op.create_table(
        "approvals",
        sa.Column("id", ID, nullable=False),
        sa.Column("repo_id", ID, nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name="fk_approvals_repo_id_repos", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sa.UniqueConstraint("repo_id", "sha", "author_id", name="uq_approvals_repo_id_sha_author_id"),
    )


def downgrade() -> None:
    op.drop_table("approvals")
    op.drop_index("ix_runs_held", "runs")
    for name in ("approved_by", "held", "on_branch"):
        op.drop_column("runs", name)
    for name in ("pipeline_from", "untrusted_runs", "trust_ssh"):
        op.drop_column("repos", name)
