"""When the newest run of each repository was queued: the front page lists repositories by it."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_INDEX = "ix_repos_newest_ms_id"


def upgrade() -> None:
    op.add_column("repos", sa.Column("newest_ms", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE repos SET newest_ms = COALESCE("
        "(SELECT created_ms FROM runs WHERE runs.repo_id = repos.id AND runs.number = repos.last_number), 0)"
    )
    op.create_index(_INDEX, "repos", ["newest_ms", "id"])


def downgrade() -> None:
    op.drop_index(_INDEX, "repos")
    op.drop_column("repos", "newest_ms")
