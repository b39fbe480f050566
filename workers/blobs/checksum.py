"""Size and checksum of a stream, counted while it passes."""

import hashlib
from collections.abc import Iterable, Iterator

from workers.blobs.interface import StoredBlob


class Checksum:
    """Iterates over ``data``, once, and knows what has passed so far."""

    def __init__(self, data: bytes | Iterable[bytes]) -> None:
        self._data = iter((data,) if isinstance(data, bytes) else data)
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        """The pieces, unchanged."""
        for piece in self._data:
            self._hash.update(piece)
            self._size_bytes += len(piece)
            yield piece

    @property
    def passed(self) -> StoredBlob:
        """Size and checksum of what has passed."""
        return StoredBlob(self._size_bytes, self._hash.hexdigest())


def checksum_of(data: Iterable[bytes]) -> StoredBlob:
    """Size and checksum of a whole stream."""
    checksum = Checksum(data)
    for _ in checksum:
        pass
    return checksum.passed
