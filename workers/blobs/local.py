"""The blob store in a folder: enough for one machine, and for several that share the folder."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from workers.blobs.checksum import Checksum, checksum_of
from workers.blobs.interface import (
    BlobExistsError,
    BlobMissingError,
    StoredBlob,
    checked_name,
    damaged,
)

_PART = ".part-"
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_TRIES = 5
_READ_BYTES = 256 * 1024  # stays in the processor's cache while it is summed up and written elsewhere


class LocalBlobs:
    """See ``BlobStore``. A blob is written beside its place and gets its name when it is whole."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes | Iterable[bytes], *, durable: bool = True) -> StoredBlob:
        """See ``BlobStore``."""
        path, checksum = self._path(name), Checksum(data)
        with _new_part(path) as (part, file):
            for piece in checksum:
                try:
                    _write_all(file, piece)
                except OSError as error:
                    error.filename = str(path)
                    raise
            if durable:
                os.fsync(file)
            try:
                _give_name(part, path)
            except FileExistsError:
                if checksum_of(self.get(name)) != checksum.passed:
                    raise BlobExistsError(f"There is a blob {name} already, with other bytes; it stays.") from None
        if durable:
            _sync_folder(path.parent)
        return checksum.passed

    def get(self, name: str, expected: StoredBlob | None = None) -> Iterator[bytes]:
        """See ``BlobStore``."""
        with self._opened(name) as file:
            pieces = iter(lambda: os.read(file, _READ_BYTES), b"")
            if expected is None:
                yield from pieces
                return
            checksum = Checksum(pieces)
            yield from checksum
        if checksum.passed != expected:
            raise damaged(name, expected, checksum.passed)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See ``BlobStore``."""
        parts = []
        with self._opened(name) as file:
            while length > 0 and (part := os.pread(file, length, offset)):
                parts.append(part)
                offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def delete(self, names: Sequence[str]) -> None:
        """See ``BlobStore``. A folder that becomes empty goes, too."""
        for path in map(self._path, names):
            path.unlink(missing_ok=True)
            self._drop_empty(path.parent)

    def delete_folder(self, folder: str) -> None:
        """See ``BlobStore``."""
        path = self._path(folder)
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
        self._drop_empty(path.parent)

    def names(self, folder: str) -> Iterator[str]:
        """See ``BlobStore``."""
        for path in self._path(folder).rglob("*"):
            if path.is_file() and not path.name.startswith(_PART):
                yield str(path.relative_to(self._root))

    def _path(self, name: str) -> Path:
        return self._root / checked_name(name)

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        try:
            file = os.open(self._path(name), os.O_RDONLY)
        except FileNotFoundError:
            raise BlobMissingError(f"The blob {name} is not in {self._root}.") from None
        try:
            yield file
        finally:
            os.close(file)

    def _drop_empty(self, folder: Path) -> None:
        with suppress(OSError):
            while folder != self._root and self._root in folder.parents:
                folder.rmdir()
                folder = folder.parent


@contextmanager
def _new_part(path: Path) -> Iterator[tuple[Path, int]]:
    """A new file beside ``path``, opened for writing. Its name is gone in the end."""
    part = path.with_name(f"{_PART}{secrets.token_hex(8)}")
    file = _create(part)
    try:
        yield part, file
    finally:
        os.close(file)
        part.unlink(missing_ok=True)


def _create(part: Path) -> int:
    for _ in range(_TRIES - 1):
        _make_folders(part.parent)
        # Another process may remove the folder while it is empty.
        with suppress(FileNotFoundError):
            return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    _make_folders(part.parent)
    return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _make_folders(folder: Path) -> None:
    """Like ``mkdir(parents=True)``, but closed to other users on every level."""
    if not folder.is_dir():
        _make_folders(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _give_name(part: Path, path: Path) -> None:
    """Raises FileExistsError where the name is taken."""
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links. Names are random enough that no other process takes this one in between.
        if path.exists():
            raise FileExistsError from None
        part.rename(path)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
