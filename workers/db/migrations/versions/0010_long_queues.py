"""A queue that is read without the history: lanes of jobs that may be claimed, and indexes over few rows."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_HELD = "group_key IS NOT NULL AND lane IS NULL AND finished_ms IS NULL"
_DROPPED = (
    ("ix_runs_state", "runs", ["state"]),
    ("ix_runs_finished_ms", "runs", ["finished_ms"]),
    ("ix_jobs_group_key", "jobs", ["group_key"]),
)
_ADDED = (
    ("ix_runs_repo_id_branch_number", "runs", ["repo_id", "branch", "number"], None),
    ("ix_runs_repo_id_event_number", "runs", ["repo_id", "event", "number"], None),
    ("ix_runs_repo_id_state_number", "runs", ["repo_id", "state", "number"], None),
    ("ix_runs_repo_id_sha", "runs", ["repo_id", "sha"], None),
    ("ix_runs_unfinished", "runs", ["repo_id", "ref", "id"], "finished_ms IS NULL"),
    ("ix_runs_with_logs", "runs", ["finished_ms", "id"], "logs_deleted_ms IS NULL"),
    ("ix_jobs_group", "jobs", ["group_key", "state", "run_id", "number"], "group_key IS NOT NULL"),
    ("ix_jobs_lane", "jobs", ["lane", "id"], "lane IS NOT NULL"),
    ("ix_jobs_lane_of_repo", "jobs", ["repo_id", "lane", "id"], "lane IS NOT NULL"),
    ("ix_jobs_lane_rung", "jobs", ["rung_ms", "id"], "lane IS NOT NULL"),
    ("ix_jobs_unplanned", "jobs", ["repo_id", "run_id"], "plan IS NULL AND ready AND finished_ms IS NULL"),
    ("ix_jobs_held", "jobs", ["repo_id", "run_id"], _HELD),
    ("ix_jobs_held_group", "jobs", ["group_key"], _HELD),
)


def upgrade() -> None:
    for name, table, _columns in _DROPPED:
        op.drop_index(name, table)
    op.add_column("jobs", sa.Column("repo_id", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("lane", sa.Text(), nullable=True))
    _fill()
    for name, table, columns, where in _ADDED:
        if where is None:
            op.create_index(name, table, columns)
            continue
        on_sqlite = sa.text(where.replace(" ready", " ready = 1"))
        op.create_index(name, table, columns, sqlite_where=on_sqlite, postgresql_where=sa.text(where))


def _fill() -> None:
    """Only unfinished jobs: they are few, and a history of a million rows is not written again."""
    jobs = sa.table("jobs", *map(sa.column, ("id", "run_id", "repo_id", "lane", "state", "finished_ms")))
    runs = sa.table("runs", sa.column("id"), sa.column("repo_id"))
    labels = sa.column("labels", sa.JSON())
    unfinished = jobs.c.finished_ms.is_(None)
    its_repo = sa.select(runs.c.repo_id).where(runs.c.id == jobs.c.run_id).scalar_subquery()
    connection = op.get_bind()
    connection.execute(jobs.update().where(unfinished).values(repo_id=its_repo))
    ready = sa.column("ready", sa.Boolean())
    waiting = sa.select(jobs.c.id, labels).select_from(jobs).where(unfinished, jobs.c.state == "queued", ready)
    # Jobs of concurrency groups get theirs from the scheduler, in the order of their turns.
    waiting = waiting.where(sa.column("group_key").is_(None))
    lanes = [{"its": job_id, "to": _lane(asked)} for job_id, asked in connection.execute(waiting)]
    if lanes:
        here = jobs.c.id == sa.bindparam("its")
        connection.execute(jobs.update().where(here).values(lane=sa.bindparam("to")), lanes)


def _lane(asked: dict[str, str]) -> str:
    # As workers.labels.lane_of was then: a migration must not change when the code does.
    labels = sorted((name, value) for name, value in asked.items() if value)
    return hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:16] if labels else ""


def downgrade() -> None:
    for name, table, _columns, _where in _ADDED:
        op.drop_index(name, table)
    for name in ("lane", "repo_id"):
        op.drop_column("jobs", name)
    for name, table, columns in _DROPPED:
        op.create_index(name, table, columns)
