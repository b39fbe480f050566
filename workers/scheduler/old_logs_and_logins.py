"""Deletes expired logins, old entries of the audit log, and the logs of runs that ended too long ago."""

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
    """Marks old logs to be deleted. ``retention_days`` 0 keeps logs for ever."""
    if retention_days:
        delete_logs_of(engine, logs, retention_days, back_off)


def delete_logs_of(
    engine: Engine, logs: LogStore, days: int, back_off: BackOff, repo_id: int | None = None
) -> None:  # fmt: skip
    """Marks logs that are older than ``days``, of all repositories or of one.

    Files of versions before the blob store have no rows to mark: they are deleted first. It is idempotent: after a
    crash in between, the next call deletes the same again. What cannot be deleted is tried again after a pause;
    ``back_off`` has it.
    """
    after = (0, 0)
    while True:
        with reading(engine) as session:
            found = store.runs_past_retention(session, days, _RUNS_AT_ONCE, after, repo_id)
            old = set(store.ran_before_blobs(session, [run_id for _, run_id in found]))
        deleted = [run_id for _, run_id in found if run_id not in old or delete_files(logs, run_id, back_off)]
        if deleted:
            with transaction(engine) as session:
                store.let_logs_go(session, deleted)
                store.forget_logs(session, deleted)
        if len(found) < _RUNS_AT_ONCE:
            return
        # Runs whose logs cannot be deleted are found each time: others come after them.
        after = found[-1]


def delete_marked_logs(logs: LogStore) -> str:
    """Deletes logs that nothing shows any more. Returns why some cannot be deleted; the next call tries again."""
    try:
        logs.delete_marked()
    except OSError as error:
        return f"Logs of removed or old runs cannot be deleted: {error}."
    return ""


def delete_files(logs: LogStore, run_id: int, back_off: BackOff) -> bool:
    """Deletes what versions before the blob store kept of a run. Returns whether it is gone."""
    if not back_off.is_due(run_id):
        return False
    try:
        logs.delete_old_files([run_id])
    except OSError as error:
        back_off.failed(run_id, f"The logs of run {run_id} cannot be deleted: {error}. Delete them by hand.")
        return False
    back_off.succeeded(run_id)
    return True
