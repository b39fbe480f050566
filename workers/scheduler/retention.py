"""Retention: deletes expired logins, and the logs of runs that ended too long ago."""

from sqlalchemy import Engine

from workers import store
from workers.db.session import reading, transaction
from workers.logs import LogStore
from workers.store import audit


def delete_old_audit_entries(engine: Engine, days: int) -> None:
    """Deletes old entries of the audit log, a bounded number at once. ``days`` 0: only what is too many."""
    with transaction(engine) as session:
        audit.drop_old_entries(session, days)


def delete_expired(engine: Engine, logs: LogStore, retention_days: int) -> None:
    """Deletes expired sessions, tokens and login links, and old logs. ``retention_days`` 0 keeps logs for ever.

    It deletes the logs first and then notes that in the rows. It is idempotent: after a crash in between, the next
    call deletes the same logs again.
    """
    with transaction(engine) as session:
        store.drop_expired(session)
    if not retention_days:
        return
    with reading(engine) as session:
        run_ids = store.runs_past_retention(session, retention_days)
    for run_id in run_ids:
        logs.delete_run(run_id)
    if run_ids:
        with transaction(engine) as session:
            store.forget_logs(session, run_ids)
