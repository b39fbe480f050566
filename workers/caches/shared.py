"""Shares the caches of a job's repository: packed and compressed, as a blob, with a row that says where it is."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import zstandard
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from runner.artifacts.files import FoundFile
from runner.caches.sharing import SharedCopy
from runner.caches.store import Wanted
from runner.errors import StepError
from workers.artifacts.storage import StoredArtifacts, blob_name
from workers.blobs import BlobDamagedError, BlobMissingError, BlobStore, StoredBlob
from workers.db.session import persist
from workers.store import shared_caches as rows

_LEVEL = 1  # what caches have is mostly compressed already
_WINDOW_BYTES_MAX = 128 * 1024**2
_T = TypeVar("_T")
PATIENCE_S = 20
"""A step does not wait longer for a database that does not answer: it begins without the cache."""


class SharedCacheStorage:
    """See ``SharedCaches``. ``artifacts`` stores the blobs; all caches of the server together have ``bytes_max``."""

    def __init__(
        self, database: Engine, blobs: BlobStore, artifacts: StoredArtifacts, repo_id: int, bytes_max: int,
        patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        self._database, self._blobs, self._artifacts = database, blobs, artifacts
        self._repo_id, self.bytes_max, self._patience_s = repo_id, bytes_max, patience_s

    def find(self, wanted: Wanted, *, own_key: bool) -> SharedCopy | None:
        """See ``SharedCaches``."""
        restore = () if own_key else wanted.restore
        look = partial(rows.shared_cache, place=wanted.place, key=wanted.key, restore=restore)
        found = self._persist(look)
        if found is None:
            return None
        handle = f"{found.blob_key} {found.size_bytes} {found.sha256}"
        return SharedCopy(found.key, found.archive_bytes, found.kept_bytes, handle)

    def read(self, copy: SharedCopy) -> Iterator[bytes]:
        """See ``SharedCaches``. A copy that is damaged is forgotten."""
        key, size_bytes, sha256 = copy.handle.split()
        packed = self._blobs.get(blob_name(key), StoredBlob(int(size_bytes), sha256))
        try:
            reader = cast("BinaryIO", _Reader(packed))
            yield from zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX).read_to_iter(reader)
            for _ in packed:
                pass  # whether it is what was stored is known in the end
        except (zstandard.ZstdError, BlobDamagedError, BlobMissingError) as error:
            with suppress(OSError):
                self._persist(partial(rows.forget_shared_cache, blob_key=key))
            raise OSError(f"it is damaged or gone, and is forgotten ({error})") from None

    def share(self, place: str, key: str, kept_bytes: int, archive: Iterable[bytes], spool: Path) -> None:
        """See ``SharedCaches``."""
        try:
            self._share(place, key, kept_bytes, archive, spool)
        except StepError as error:
            raise OSError(str(error)) from None
        except DBAPIError:
            raise _database_away() from None
        finally:
            spool.unlink(missing_ok=True)

    def _share(self, place: str, key: str, kept_bytes: int, archive: Iterable[bytes], spool: Path) -> None:
        archive_bytes = self._pack(archive, spool)
        file = FoundFile("cache", spool.stat().st_size, executable=False, opened=lambda: spool.open("rb"))
        (stored,) = self._artifacts.store([file])
        copy = {
            "blob_key": stored.blob_key, "sha256": stored.content.sha256, "size_bytes": stored.content.size_bytes,
            "archive_bytes": archive_bytes, "kept_bytes": kept_bytes,
        }  # fmt: skip
        put = partial(rows.put_shared_cache, repo_id=self._repo_id, place=place, key=key, copy=copy)
        if self._persist(put):
            self._persist(partial(rows.trim_shared_caches, bytes_max=self.bytes_max))

    def _pack(self, archive: Iterable[bytes], spool: Path) -> int:
        """Compresses the archive into ``spool``. Returns its size. Raises OSError where it becomes too large."""
        archive_bytes = 0
        with spool.open("xb") as file, zstandard.ZstdCompressor(_LEVEL).stream_writer(file, closefd=False) as packing:
            for piece in archive:
                packing.write(piece)
                archive_bytes += len(piece)
                self._check_size(file.tell())
        self._check_size(spool.stat().st_size)
        return archive_bytes

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self.bytes_max:
            most = f"{self.bytes_max:,} bytes, HEADWAY_SHARED_CACHE_BYTES_MAX"
            raise OSError(f"packed it is larger than all may be ({most})")

    def _persist(self, change: Callable[[Session], _T]) -> _T:
        """Raises OSError where the database does not answer."""
        try:
            return persist(self._database, change, self._patience_s, self._patience_s)
        except DBAPIError:
            raise _database_away() from None


def _database_away() -> OSError:
    return OSError("the database does not answer")


class _Reader:
    """A file of pieces, for one reading."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken
