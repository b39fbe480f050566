"""A check of the blob store: a small blob is written, read and removed again."""

import secrets

from workers.blobs import BlobError, open_blobs
from workers.doctor.finding import Finding, ok, problem
from workers.settings import Settings

FOLDER = "doctor"
_HINT = "Logs cannot be stored. Look at HEADWAY_BLOB_URL, at its credentials, and whether the store lets Headway"


def blobs(settings: Settings) -> list[Finding]:
    """Whether blobs can be written, read and removed."""
    folder = settings.blobs_dir
    if folder is not None and not folder.is_dir():
        return [ok("blobs", f"{folder} is not there yet; the first log makes it")]
    store, name, data = open_blobs(settings), f"{FOLDER}/{secrets.token_hex(16)}", secrets.token_bytes(64)
    done = "write"
    try:
        store.put(name, data)
        try:
            done = "read"
            same = store.read(name, 0, len(data)) == data
        finally:
            store.delete([name])
            done = "remove" if done == "write" else done
    except BlobError as error:
        return [problem("blobs", f"{str(error).rstrip('.')}. {_HINT} {done} objects.")]
    except OSError as error:
        return [problem("blobs", f"{folder} cannot be used: {error.strerror}. {_HINT} {done} in it.")]
    if not same:
        return [problem("blobs", f"what is read is not what was written. {_HINT} {done} objects.")]
    return [ok("blobs", f"{folder or 'the bucket'} takes, gives and removes blobs")]
