"""Retention: deletes expired logins, and the logs of runs that ended too long ago."""

from sqlalchemy import Engine

from workers import store
from workers.back_off import BackOff
from workers.db.session import reading, transaction
from workers.logs import LogStore
from workers.store.accounts import audit

_RUNS_AT_ONCE = 100


def delete_expired_logins(engine: Engine) -> None:
    """Deletes expired sessions, tokens and login links."""
    with transaction(engine) as session:
        store.drop_expired(session)


def delete_old_audit_entries(engine: Engine, audit_days: int) -> None:
    """Deletes old entries of the audit log, a bounded number at once. ``audit_days`` 0: only what is too many."""
    with transaction(engine) as session:
        audit.drop_old_entries(session, audit_days)


def delete_expired_logs(engine: Engine, logs: LogStore, retention_days: int, back_off: BackOff) -> None:
    """Deletes old logs. ``retention_days`` 0 keeps logs for ever.

    It deletes the logs first and then notes that in the rows. It is idempotent: after a crash in between, the next
    call deletes the same logs again. Logs that cannot be deleted are tried again after a pause; ``back_off`` has them.
    """
    after = (0, 0)
    while retention_days:
        with reading(engine) as session:
            found = store.runs_past_retention(session, retention_days, _RUNS_AT_ONCE, after)
        deleted = [run_id for _, run_id in found if _delete(logs, run_id, back_off)]
        if deleted:
            with transaction(engine) as session:
                store.forget_logs(session, deleted)
        if len(found) < _RUNS_AT_ONCE:
            return
        # Runs whose logs cannot be deleted are found each time: others come after them.
        after = found[-1]


def _delete(logs: LogStore, run_id: int, back_off: BackOff) -> bool:
    if not back_off.is_due(run_id):
        return False
    try:
        logs.delete_run(run_id)
    except OSError as error:
        back_off.failed(run_id, f"The logs of run {run_id} cannot be deleted: {error}. Delete them by hand.")
        return False
    back_off.succeeded(run_id)
    return True
