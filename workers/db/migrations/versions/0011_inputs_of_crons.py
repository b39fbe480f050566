"""Whether an administrator of the server gave a cron its inputs: only then may they be undeclared ones."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # They were added by administrators.
    op.add_column("crons", sa.Column("inputs_by_admin", sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    op.drop_column("crons", "inputs_by_admin")
