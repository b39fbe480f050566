"""Approvals are for one target branch. Of older ones it is not known for which: they are given again."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_UNIQUE = {
    "uq_approvals_repo_id_sha_author_id": ["repo_id", "sha", "author_id"],
    "uq_approvals_repo_id_sha_author_id_target_branch": ["repo_id", "sha", "author_id", "target_branch"],
}


def upgrade() -> None:
    old, new = _UNIQUE
    op.execute("DELETE FROM approvals")
    with op.batch_alter_table("approvals") as table:
        table.add_column(sa.Column("target_branch", sa.Text(), nullable=False))
        table.drop_constraint(old, type_="unique")
        table.create_unique_constraint(new, _UNIQUE[new])


def downgrade() -> None:
    old, new = _UNIQUE
    op.execute("DELETE FROM approvals")
    with op.batch_alter_table("approvals") as table:
        table.drop_constraint(new, type_="unique")
        table.drop_column("target_branch")
        table.create_unique_constraint(old, _UNIQUE[old])
