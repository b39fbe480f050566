"""When a step's changes to a cache are kept as a new version."""

LAYERS_COUNT_MAX = 12
"""With more, the version is copied, and becomes one layer again."""

CHANGED_BYTES_MIN, CHANGED_PART_MIN = 1024**2, 20
"""A version is replaced where so many bytes have changed, or a twentieth of it."""


def is_small_change(changed_bytes: int, known_bytes: int) -> bool:
    """Is it too little for a new version of the same key? ``known_bytes`` is the size of the version that is there."""
    return changed_bytes < min(CHANGED_BYTES_MIN, known_bytes // CHANGED_PART_MIN)
