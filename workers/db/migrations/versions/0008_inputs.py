"""Which inputs the pipeline of a branch declares, for the form that starts a run."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "branch_inputs",
        sa.Column("repo_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name="fk_branch_inputs_repo_id_repos", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("repo_id", "branch", name="pk_branch_inputs"),
    )


def downgrade() -> None:
    op.drop_table("branch_inputs")
