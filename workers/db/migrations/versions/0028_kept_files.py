"""Files of failed jobs that stay on their machine, and the job that goes on with them."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_COLUMNS = ("kept_until_ms", "kept_bytes", "files_of")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("jobs", sa.Column(name, sa.BigInteger()))


def downgrade() -> None:
    for name in _COLUMNS:
        op.drop_column("jobs", name)
