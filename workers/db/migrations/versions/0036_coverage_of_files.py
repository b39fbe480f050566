"""The coverage of each file of a step, compressed, beside its sums."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("step_reports", sa.Column("covered_files", sa.LargeBinary(), nullable=True))
    op.add_column("step_reports", sa.Column("covered_files_bytes", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("step_reports", "covered_files_bytes")
    op.drop_column("step_reports", "covered_files")
