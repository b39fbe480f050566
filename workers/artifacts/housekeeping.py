"""Removes artifacts that have expired, and blobs that no artifact refers to any more."""

from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from workers.artifacts.storage import blob_name
from workers.blobs import BlobStore
from workers.db.session import reading, transaction
from workers.store import artifacts as rows

_AT_ONCE = 200


def delete_unused_artifacts(database: Engine, blobs: BlobStore) -> str:
    """Removes what is over. Returns why something cannot be deleted; the next call tries again.

    First the blobs, then their rows: after a crash in between, the next call goes on.
    """
    _until_none(database, rows.drop_expired_artifacts)
    _until_none(database, rows.mark_unused_blobs)
    while True:
        with reading(database) as session:
            keys = rows.blobs_to_delete(session, _AT_ONCE)
        if not keys:
            return ""
        try:
            blobs.delete([blob_name(key) for key in keys])
        except OSError as error:
            return f"Artifacts of removed or old runs cannot be deleted: {error}."
        with transaction(database) as session:
            rows.forget_blobs(session, keys)


def _until_none(database: Engine, change: Callable[[Session, int], int]) -> None:
    while True:
        with transaction(database) as session:
            if change(session, _AT_ONCE) < _AT_ONCE:
                return
