"""Keeps the packs of sent trees as blobs, as artifacts are kept: what no row refers to any more is deleted."""

import secrets
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from sqlalchemy import Engine

from workers.artifacts.storage import blob_name
from workers.blobs import BlobStore, StoredBlob
from workers.db.models import SentTree
from workers.db.session import persist, transaction
from workers.store import artifacts as rows
from workers.store.artifacts import Content
from workers.store.sent_trees import drop_old_trees

_AT_ONCE = 200


class KeptPack(NamedTuple):
    """A pack in the blob store."""

    blob_key: str
    content: Content


def keep_pack(database: Engine, blobs: BlobStore, repo_id: int, pieces: Iterable[bytes], size_bytes: int) -> KeptPack:
    """Stores a pack. Without a row of a sent tree it is deleted after an hour. Raises BlobError and OSError."""
    key = secrets.token_hex(16)
    persist(database, partial(rows.begin_blobs, repo_id=repo_id, sizes_bytes={key: size_bytes}))
    put = blobs.put(blob_name(key), pieces)
    content = Content(put.sha256, put.size_bytes)
    keys = persist(database, partial(rows.blobs_are_stored, repo_id=repo_id, stored={key: content}))
    return KeptPack(keys[key], content)


def read_pack(blobs: BlobStore, tree: SentTree) -> Iterator[bytes]:
    """The pack of a sent tree. Raises BlobError: in the end also where it is not what was stored."""
    return blobs.get(blob_name(tree.blob_key), StoredBlob(tree.size_bytes, tree.sha256))


def drop_old_sent_trees(database: Engine, days: int) -> str:
    """Removes trees that are too old, or whose runs are removed. Their blobs go an hour later, as artifacts' do.

    Returns "": nothing of it can fail for long but the database, which the scheduler reports.
    """
    while True:
        with transaction(database) as session:
            if drop_old_trees(session, days, _AT_ONCE) < _AT_ONCE:
                return ""
