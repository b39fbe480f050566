"""The interface of blob stores. A blob is written once, under a name that is never used again, and then only read."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

PIECE_BYTES = 1024 * 1024
"""A stream comes in pieces of about this size."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class BlobError(OSError):
    """A blob store did not do what it was asked for. The message is a sentence."""


class BlobMissingError(BlobError):
    """There is no such blob."""


class BlobExistsError(BlobError):
    """There is a blob of this name already, with other bytes. It was left as it is."""


class BlobDamagedError(BlobError):
    """A blob has not the bytes that were stored."""


class BlobsAwayError(BlobError):
    """The blob store does not answer, or has a fault. Trying again later may help."""


class BlobsRefusedError(BlobError):
    """The blob store refuses: the bucket is missing, or the credentials do not fit. Trying again does not help."""


@dataclass(frozen=True)
class StoredBlob:
    """What was stored: compared with what is read, it proves that nothing was changed on the way."""

    size_bytes: int
    sha256: str


class BlobStore(Protocol):
    """Where blobs are kept. May be used from several threads. All calls raise BlobError, and OSError for a disk."""

    def put(self, name: str, data: bytes | Iterable[bytes], *, durable: bool = True) -> StoredBlob:
        """Stores a new blob; readers see all of it or nothing.

        Idempotent: where the same bytes are stored already, nothing happens. Raises BlobExistsError for other bytes.
        ``durable``: when this returns, the blob survives a power cut.
        """
        ...

    def get(self, name: str, expected: StoredBlob | None = None) -> Iterator[bytes]:
        """The whole blob, in pieces. Raises BlobDamagedError in the end if it is not what is ``expected``."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on; fewer only at the end of the blob."""
        ...

    def delete(self, names: Sequence[str]) -> None:
        """Deletes blobs. One that is not there is no error."""
        ...

    def delete_folder(self, folder: str) -> None:
        """Deletes all blobs whose names begin with ``folder`` and a slash."""
        ...

    def names(self, folder: str) -> Iterator[str]:
        """The names that begin with ``folder`` and a slash. Slow: only for housekeeping, never to find a blob."""
        ...


def checked_name(name: str) -> str:
    """The name, if it is one: parts of letters, digits, dots, dashes and underscores between slashes."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a blob.")
    return name


def damaged(name: str, expected: StoredBlob, found: StoredBlob) -> BlobDamagedError:
    """What is wrong with a blob that was read."""
    return BlobDamagedError(
        f"The stored blob {name} is damaged: it has {found.size_bytes} bytes with the checksum {found.sha256[:16]}, "
        f"and was stored with {expected.size_bytes} bytes and {expected.sha256[:16]}. Restore it from a backup."
    )
