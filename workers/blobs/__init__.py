"""The blob store: what one machine writes and another reads. A folder, or a bucket of S3, Google Cloud or Azure."""

from workers.blobs.interface import (
    BlobDamagedError,
    BlobError,
    BlobExistsError,
    BlobMissingError,
    BlobsAwayError,
    BlobsRefusedError,
    BlobStore,
    StoredBlob,
)
from workers.blobs.local import LocalBlobs
from workers.settings import Settings

__all__ = [
    "BlobDamagedError",
    "BlobError",
    "BlobExistsError",
    "BlobMissingError",
    "BlobStore",
    "BlobsAwayError",
    "BlobsRefusedError",
    "LocalBlobs",
    "StoredBlob",
    "open_blobs",
]


def open_blobs(settings: Settings) -> BlobStore:
    """The blob store of this installation. Connects when it is first used."""
    if (folder := settings.blobs_dir) is not None:
        return LocalBlobs(folder)
    # Loaded only where it is used: the library takes 75 ms to load.
    from workers.blobs.object_store import ObjectBlobs  # noqa: PLC0415

    return ObjectBlobs(settings.blob_url)
