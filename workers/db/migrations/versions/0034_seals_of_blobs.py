"""Of a blob of artifacts: a digest of a few bytes, by which others are known to differ, and what proves its bytes."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("artifact_blobs", sa.Column("sample", sa.String(), nullable=True))
    op.add_column("artifact_blobs", sa.Column("seal", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("artifact_blobs", "seal")
    op.drop_column("artifact_blobs", "sample")
