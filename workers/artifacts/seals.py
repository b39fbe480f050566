"""A seal proves, ten times faster than SHA-256, that a blob has the bytes that were stored.

It is a Poly1305 authenticator under a key that is random for each blob and stays in the database: what can write to
the blob store alone cannot make bytes that fit. What a file's content is called, to people and for comparisons, is its
SHA-256.
"""

import secrets
from collections.abc import Iterable, Iterator
from hmac import compare_digest

from cryptography.hazmat.primitives.poly1305 import Poly1305

from workers.blobs import BlobDamagedError

KEY_BYTES = 32


class Sealing:
    """Iterates over ``pieces``, once, and has their seal in the end."""

    def __init__(self, pieces: Iterable[bytes], key: bytes = b"") -> None:
        self._pieces = pieces
        self._key = key or secrets.token_bytes(KEY_BYTES)
        self._authenticator = Poly1305(self._key)
        self._size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        """The pieces, unchanged."""
        for piece in self._pieces:
            self._authenticator.update(piece)
            self._size_bytes += len(piece)
            yield piece

    def seal(self) -> str:
        """The key, the size and the authenticator. Call it once, in the end."""
        return f"{self._key.hex()}-{self._size_bytes}-{self._authenticator.finalize().hex()}"


def checked(name: str, seal: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of the blob ``name``. Raises BlobDamagedError in the end if the seal does not fit them."""
    sealing = Sealing(pieces, bytes.fromhex(seal[: 2 * KEY_BYTES]))
    yield from sealing
    if not compare_digest(sealing.seal(), seal):
        raise BlobDamagedError(f"The stored blob {name} is damaged: its bytes are not those that were stored. "
                               "Restore it from a backup.")  # fmt: skip
