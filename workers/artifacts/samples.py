"""A few bytes of a large file stand for it: another file is certainly another one where they differ."""

import hashlib
import os
from typing import BinaryIO

from runner.artifacts.files import FoundFile

SAMPLED_BYTES_MIN = 256 * 1024
"""A smaller file is read as a whole at once."""
PART_BYTES = 4096
_DIGEST_BYTES = 16


def sample_of(file: FoundFile) -> str | None:
    """A digest of the beginning, the middle and the end of a large file; None of a small one.

    Equal contents have equal samples. The other way round it is only likely: what has the same sample is compared.
    """
    if file.size_bytes < SAMPLED_BYTES_MIN:
        return None
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with file.open() as opened:
        for offset in (0, file.size_bytes // 2, file.size_bytes - PART_BYTES):
            digest.update(_part(opened, offset))
    return digest.hexdigest()


def _part(opened: BinaryIO, offset: int) -> bytes:
    opened.seek(offset, os.SEEK_SET)
    return opened.read(PART_BYTES)
