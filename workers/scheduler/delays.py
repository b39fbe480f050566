"""Ends the delays of jobs that waited for a forge, when their pause is over."""

from collections.abc import Callable, Iterable

from sqlalchemy import Engine

from workers.db.session import reading, transaction
from workers.store.jobs import delays


def end_due_delays(engine: Engine, notify: Callable[[int], object]) -> None:
    """One round. A job is woken by the round for wake-ups where its own wake-up is lost."""
    with reading(engine) as session:
        due = delays.due_delays(session)
    for job_id in due:
        with transaction(engine) as session:
            ready = delays.end_delay(session, job_id)
        _notify_all(notify, ready)


def _notify_all(notify: Callable[[int], object], job_ids: Iterable[int]) -> None:
    for job_id in job_ids:
        notify(job_id)
