"""Queries of sent trees: where a run's is, and which are removed. Their blobs go with the housekeeping of artifacts."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from workers.db.models import ArtifactBlob, Run, SentTree
from workers.db.session import db_now_ms, now_ms
from workers.store.artifacts import Content
from workers.store.common import DAY_MS, table

TREES_OF_A_REPOSITORY_MAX = 100
"""Of more, the oldest goes whose runs have ended."""


def put_sent_tree(session: Session, repo_id: int, ref: str, blob_key: str, content: Content) -> bool:
    """Notes where a tree is. False, and nothing is changed, where its blob was dropped meanwhile."""
    blobs = table(ArtifactBlob)
    live = (blobs.c.key == blob_key) & blobs.c.dropped_ms.is_(None) & (blobs.c.repo_id == repo_id)
    if session.execute(update(blobs).where(live).values(used_ms=now_ms()).returning(blobs.c.key)).first() is None:
        return False
    new = SentTree(repo_id=repo_id, ref=ref, blob_key=blob_key, created_ms=db_now_ms(session), **content._asdict())
    session.add(new)
    session.flush()
    return True


def sent_tree(session: Session, repo_id: int, ref: str) -> SentTree | None:
    """The tree that a run with this ref has; None where it was removed."""
    return session.scalars(select(SentTree).where(SentTree.repo_id == repo_id, SentTree.ref == ref)).one_or_none()


def is_full(session: Session, repo_id: int, count_max: int = TREES_OF_A_REPOSITORY_MAX) -> bool:
    """Do so many unfinished runs need their trees that there is no room for one more?"""
    needed = select(func.count()).select_from(SentTree).where(SentTree.repo_id == repo_id, _needed())
    return (session.scalar(needed) or 0) >= count_max


def make_room(session: Session, repo_id: int, count_max: int = TREES_OF_A_REPOSITORY_MAX) -> bool:
    """Removes the oldest trees of a repository until one more fits. False where runs still need too many."""
    count = session.scalar(select(func.count()).select_from(SentTree).where(SentTree.repo_id == repo_id)) or 0
    surplus = count + 1 - count_max
    if surplus <= 0:
        return True
    oldest = select(SentTree.id).where(SentTree.repo_id == repo_id, ~_needed()).order_by(SentTree.id).limit(surplus)
    return _remove(session, session.scalars(oldest).all()) == surplus


def drop_old_trees(session: Session, days: int, limit: int) -> int:
    """Removes trees that are older than ``days`` or of which no run is left, ``limit`` at most. Returns how many.

    One that an unfinished run needs stays.
    """
    of_runs = exists().where(Run.repo_id == SentTree.repo_id, Run.ref == SentTree.ref)
    old = SentTree.created_ms <= now_ms() - days * DAY_MS
    chosen = select(SentTree.id).where(~_needed(), old | ~of_runs).order_by(SentTree.id).limit(limit)
    return _remove(session, session.scalars(chosen).all())


def _needed() -> ColumnElement[bool]:
    return exists().where(Run.repo_id == SentTree.repo_id, Run.ref == SentTree.ref, Run.finished_ms.is_(None))


def _remove(session: Session, ids: Sequence[int]) -> int:
    rows = table(SentTree)
    return len(session.execute(delete(rows).where(rows.c.id.in_(ids)).returning(rows.c.id)).all())
