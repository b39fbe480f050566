"""The queue is listed by an index of unfinished jobs, and the last passed jobs of a workflow are found by another."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_jobs_unfinished": (["id"], "finished_ms IS NULL"),
    "ix_jobs_passed": (["repo_id", "name", "id"], "state = 'passed'"),
}


def upgrade() -> None:
    for name, (columns, where) in _INDEXES.items():
        op.create_index(name, "jobs", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, "jobs")
