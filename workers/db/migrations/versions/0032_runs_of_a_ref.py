"""The newest runs of a branch or a pull request are found by an index, however many runs there are of others."""

from alembic import op

revision = "0032"
down_revision = "0029"
branch_labels = None
depends_on = None

_INDEX = "ix_runs_repo_id_ref_number"


def upgrade() -> None:
    op.create_index(_INDEX, "runs", ["repo_id", "ref", "number"])


def downgrade() -> None:
    op.drop_index(_INDEX, "runs")
