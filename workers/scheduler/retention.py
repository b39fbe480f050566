"""Retention: deletes expired logins, and the logs of runs that ended too long ago."""

from sqlalchemy import Engine

from workers import store
from workers.db.session import reading, transaction
from workers.logs import LogStore
from workers.store import audit


def delete_expired(engine: Engine, logs: LogStore, retention_days: int, audit_days: int = 0) -> None:
    """Deletes expired sessions, tokens and login links, old entries of the audit log, and old logs. 0 days: for ever.

    It deletes the logs first and then notes that in the rows. It is idempotent: after a crash in between, the next
    call deletes the same logs again.
    """
    with transaction(engine) as session:
        store.drop_expired(session)
    with transaction(engine) as session:
        audit.drop_old_entries(session, audit_days)
    if not retention_days:
        return
    with reading(engine) as session:
        run_ids = store.runs_past_retention(session, retention_days)
    for run_id in run_ids:
        logs.delete_run(run_id)
    if run_ids:
        with transaction(engine) as session:
            store.forget_logs(session, run_ids)
