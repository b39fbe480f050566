"""Removes shared copies of caches that are too many, too large together, or were not used for a month."""

from functools import partial

from sqlalchemy import Engine

from workers.db.session import persist
from workers.store import shared_caches as rows


def drop_old_copies(database: Engine, bytes_max: int) -> str:
    """Removes copies until all have at most ``bytes_max``; with 0 all. Their blobs go an hour later, as artifacts'.

    Returns "": nothing of it can fail for long but the database, which the scheduler reports.
    """
    persist(database, partial(rows.trim_shared_caches, bytes_max=bytes_max))
    return ""
