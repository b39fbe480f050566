"""What a delivery said, its ref and commit, and which delivery a replay repeats."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TEXTS = {"kind": "webhook", "ref": "", "sha": "", "payload_key": "", "replayed_by": ""}


def upgrade() -> None:
    for name, default in _TEXTS.items():
        op.add_column("deliveries", sa.Column(name, sa.Text(), nullable=False, server_default=default))
    op.add_column("deliveries", sa.Column("repeats_id", sa.BigInteger()))
    op.create_table(
        "delivery_payloads",
        sa.Column("repo_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("stored_ms", sa.BigInteger(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("repo_id", "key", name="pk_delivery_payloads"),
        sa.ForeignKeyConstraint(
            ["repo_id", "key"],
            ["deliveries.repo_id", "deliveries.key"],
            name="fk_delivery_payloads_repo_id_key_deliveries",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_delivery_payloads_stored_ms", "delivery_payloads", ["stored_ms"])


def downgrade() -> None:
    op.drop_table("delivery_payloads")
    for name in (*_TEXTS, "repeats_id"):
        op.drop_column("deliveries", name)
