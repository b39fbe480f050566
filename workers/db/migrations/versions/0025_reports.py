"""Reports of steps: numbers of tests and coverage, and the tests that failed."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _step_reports()
    _test_failures()


def _step_reports() -> None:
    repo = sa.ForeignKey("repos.id", name="fk_step_reports_repo_id_repos", ondelete="CASCADE")
    run = sa.ForeignKey("runs.id", name="fk_step_reports_run_id_runs", ondelete="CASCADE")
    job = sa.ForeignKey("jobs.id", name="fk_step_reports_job_id_jobs", ondelete="CASCADE")
    blob = sa.ForeignKey("artifact_blobs.key", name="fk_step_reports_blob_key_artifact_blobs")
    op.create_table(
        "step_reports",
        sa.Column("id", _ID, nullable=False),
        sa.Column("repo_id", _ID, repo, nullable=False),
        sa.Column("run_id", _ID, run, nullable=False),
        sa.Column("job_id", _ID, job, nullable=False),
        sa.Column("step_number", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("slowest", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("covered_lines", sa.BigInteger(), nullable=True),
        sa.Column("total_lines", sa.BigInteger(), nullable=True),
        sa.Column("blob_key", sa.Text(), blob, nullable=True),
        sa.Column("blob_bytes", sa.BigInteger(), nullable=False),
        sa.Column("blob_sha256", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_step_reports"),
        sa.UniqueConstraint("job_id", "step_number", "attempt", name="uq_step_reports_job_id_step_number_attempt"),
    )
    op.create_index("ix_step_reports_run_id", "step_reports", ["run_id"])
    op.create_index("ix_step_reports_repo_id_id", "step_reports", ["repo_id", "id"])
    op.create_index("ix_step_reports_blob_key", "step_reports", ["blob_key"])


def _test_failures() -> None:
    report = sa.ForeignKey("step_reports.id", name="fk_test_failures_report_id_step_reports", ondelete="CASCADE")
    repo = sa.ForeignKey("repos.id", name="fk_test_failures_repo_id_repos", ondelete="CASCADE")
    op.create_table(
        "test_failures",
        sa.Column("id", _ID, nullable=False),
        sa.Column("report_id", _ID, report, nullable=False),
        sa.Column("repo_id", _ID, repo, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("flaky", sa.Boolean(), nullable=False),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("class_name", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_test_failures"),
    )
    op.create_index("ix_test_failures_report_id", "test_failures", ["report_id"])
    op.create_index("ix_test_failures_repo_id_key_id", "test_failures", ["repo_id", "key", "id"])


def downgrade() -> None:
    op.drop_table("test_failures")
    op.drop_table("step_reports")
