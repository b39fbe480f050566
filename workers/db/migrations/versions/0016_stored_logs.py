"""Logs in the blob store, and random names for jobs and mirrors."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NO_JOB, _REPLACED = sa.text("job_id IS NULL"), sa.text("replaced_ms IS NOT NULL")
_KEYED = sa.text("key <> ''")
_NUMBERS = ("level", "raw_offset", "raw_bytes", "newlines_before", "newlines")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("key", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_jobs_key", "jobs", ["key"], sqlite_where=_KEYED, postgresql_where=_KEYED)
    op.add_column("repos", sa.Column("key", sa.Text(), nullable=False, server_default=""))
    _name_repos()
    op.create_table(
        "stored_logs",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job_id", _ID, nullable=True),
        sa.Column("step_number", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_stored_logs_job_id_jobs", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("key", name="pk_stored_logs"),
        sa.UniqueConstraint("job_id", "step_number", "attempt", name="uq_stored_logs_job_id_step_number_attempt"),
    )
    op.create_index("ix_stored_logs_deleted", "stored_logs", ["key"], sqlite_where=_NO_JOB, postgresql_where=_NO_JOB)
    op.create_table(
        "log_segments",
        sa.Column("log_key", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _NUMBERS),
        sa.Column("ends_line", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("blob_bytes", sa.BigInteger(), nullable=False),
        sa.Column("frames_bytes", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.LargeBinary(), nullable=False),
        sa.Column("replaced_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["log_key"], ["stored_logs.key"], name="fk_log_segments_log_key_stored_logs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("log_key", "number", name="pk_log_segments"),
    )
    op.create_index(
        "ix_log_segments_replaced", "log_segments", ["replaced_ms"],
        sqlite_where=_REPLACED, postgresql_where=_REPLACED,
    )  # fmt: skip


def _name_repos() -> None:
    """A random name for each repository that is there."""
    repos = sa.table("repos", sa.column("id", sa.BigInteger()), sa.column("key", sa.Text()))
    connection = op.get_bind()
    for repo_id in connection.scalars(sa.select(repos.c.id)).all():
        connection.execute(repos.update().where(repos.c.id == repo_id).values(key=secrets.token_hex(8)))


def downgrade() -> None:
    op.drop_table("log_segments")
    op.drop_table("stored_logs")
    op.drop_column("repos", "key")
    op.drop_index("ix_jobs_key", "jobs")
    op.drop_column("jobs", "key")
