"""The newest deliveries of a repository; secrets and registry logins for an owner or for all."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_index("ix_deliveries_repo_id_received_ms", "deliveries", ["repo_id", "received_ms"])
    op.add_column("registries", sa.Column("owner", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "shared_secrets",
        sa.Column("id", _ID, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shared_secrets"),
        sa.UniqueConstraint("owner", "name", name="uq_shared_secrets_owner_name"),
    )


def downgrade() -> None:
    op.drop_table("shared_secrets")
    op.drop_column("registries", "owner")
    op.drop_index("ix_deliveries_repo_id_received_ms", "deliveries")
