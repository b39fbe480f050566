"""Queries of caches that workers share: which copy fits, which one counts, and which go when there are too many."""

import hashlib
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from workers.db.models import ArtifactBlob, SharedCache
from workers.db.session import now_ms
from workers.store.common import DAY_MS, insert_or, table

COPIES_OF_A_REPOSITORY_MAX = 200
IDLE_DAYS_MAX = 30
"""A copy that was not used for so long goes."""


def _hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def shared_cache(session: Session, place: str, key: str, restore: Sequence[str]) -> SharedCache | None:
    """The copy under this key; else, of the first of these beginnings that has any, the one that was used last.

    It is used now.
    """
    found = _newest(session, place, SharedCache.key_hash == _hash_of(key))
    for start in restore:
        if found is None:
            found = _newest(session, place, func.substr(SharedCache.key, 1, len(start)) == start)
    if found is not None:
        rows = table(SharedCache)
        session.execute(update(rows).where(rows.c.id == found.id).values(used_ms=now_ms()))
    return found


def _newest(session: Session, place: str, which: ColumnElement[bool]) -> SharedCache | None:
    query = select(SharedCache).where(SharedCache.place == place, which)
    return session.scalars(query.order_by(SharedCache.used_ms.desc(), SharedCache.id.desc()).limit(1)).one_or_none()


def put_shared_cache(session: Session, repo_id: int, place: str, key: str, copy: Mapping[str, object]) -> bool:
    """Makes this the copy under its key. ``copy`` are the columns that say what and where it is. Idempotent.

    False, and nothing is changed, where its blob was dropped meanwhile, or the repository is gone.
    """
    blobs = table(ArtifactBlob)
    live = (blobs.c.key == copy["blob_key"]) & blobs.c.dropped_ms.is_(None) & (blobs.c.repo_id == repo_id)
    if session.execute(update(blobs).where(live).values(used_ms=now_ms()).returning(blobs.c.key)).first() is None:
        return False
    values = {**copy, "repo_id": repo_id, "key": key, "created_ms": now_ms(), "used_ms": now_ms()}
    insert = insert_or(session, SharedCache).values(place=place, key_hash=_hash_of(key), **values)
    session.execute(insert.on_conflict_do_update(index_elements=["place", "key_hash"], set_=values))
    return True


def forget_shared_cache(session: Session, blob_key: str) -> None:
    """Removes the copies whose blob this is: it is damaged, or gone."""
    rows = table(SharedCache)
    session.execute(delete(rows).where(rows.c.blob_key == blob_key))


def trim_shared_caches(session: Session, bytes_max: int) -> int:
    """Removes copies that are too many, too large together, or idle; first what was not used for longest.

    Returns how many. Their blobs are deleted by the housekeeping of artifacts.
    """
    newest = (SharedCache.used_ms.desc(), SharedCache.id.desc())
    total = func.sum(SharedCache.size_bytes).over(order_by=newest).label("total")
    place_of = func.row_number().over(partition_by=SharedCache.repo_id, order_by=newest).label("place_of")
    listed = select(SharedCache.id, SharedCache.used_ms, total, place_of).subquery()
    is_over = (listed.c.total > bytes_max) | (listed.c.place_of > COPIES_OF_A_REPOSITORY_MAX)
    idle = listed.c.used_ms <= now_ms() - IDLE_DAYS_MAX * DAY_MS
    chosen = session.scalars(select(listed.c.id).where(is_over | idle).order_by(listed.c.id)).all()
    rows = table(SharedCache)
    for copy_id in chosen:  # one by one in the one order, so that two workers do not wait for each other in a circle
        session.execute(delete(rows).where(rows.c.id == copy_id))
    return len(chosen)
