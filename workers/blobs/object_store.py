"""The blob store in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, islice
from typing import Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import from_url

from workers.blobs.checksum import Checksum, checksum_of
from workers.blobs.interface import (
    PIECE_BYTES,
    BlobError,
    BlobExistsError,
    BlobMissingError,
    BlobsAwayError,
    BlobsRefusedError,
    StoredBlob,
    checked_name,
    damaged,
)

RETRIES_MAX = 3
RETRY_S_MAX = 15
CONNECT_S_MAX = 5
REQUEST_S_MAX = 60
PART_BYTES = 8 * 1024**2
PARTS_AT_ONCE = 2
_DELETED_AT_ONCE = 500

_RETRY: Any = {
    "max_retries": RETRIES_MAX,
    "retry_timeout": timedelta(seconds=RETRY_S_MAX),
    "backoff": {"base": 2, "init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5)},
}


class ObjectBlobs:
    """See ``BlobStore``. Region, endpoint and keys come from the provider's own variables, such as ``AWS_*``.

    An upload in parts has two parts of 8 MiB in memory, whatever the size of the blob.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: tuple[int, Any] = (0, None)

    @property
    def _connected(self) -> Any:  # noqa: ANN401 - obstore has a type for each provider
        """The store, connected when it is first used. Raises RuntimeError in a process that was forked after that."""
        if self._store[1] is None:
            limits: Any = {
                "connect_timeout": timedelta(seconds=CONNECT_S_MAX),
                "timeout": timedelta(seconds=REQUEST_S_MAX),
                "allow_http": _plain_http(),
            }
            with self._sentences():
                self._store = (os.getpid(), from_url(self._url, client_options=limits, retry_config=_RETRY))
        if self._store[0] != os.getpid():
            # The library's threads are the parent's: here every request would wait for ever.
            raise RuntimeError("The blob store was used before this process was forked from its parent.")
        return self._store[1]

    def put(self, name: str, data: bytes | Iterable[bytes], *, durable: bool = True) -> StoredBlob:  # noqa: ARG002
        """See ``BlobStore``. Durable in any case."""
        checksum = Checksum(data)
        body: Any = b"".join(checksum) if isinstance(data, bytes) else _in_parts(checksum)
        try:
            with self._sentences(checked_name(name)):
                obstore.put(
                    self._connected,
                    name,
                    body,
                    mode="create",
                    use_multipart=None if isinstance(body, bytes) else True,
                    chunk_size=PART_BYTES,
                    max_concurrency=PARTS_AT_ONCE,
                )
        except BlobExistsError:
            # It may be ours: an answer may be lost, and then the request is sent again.
            for _ in checksum if not isinstance(data, bytes) else ():
                pass
            if checksum_of(self.get(name)) != checksum.passed:
                raise
        return checksum.passed

    def get(self, name: str, expected: StoredBlob | None = None) -> Iterator[bytes]:
        """See ``BlobStore``."""
        with self._sentences(checked_name(name)):
            stream = obstore.get(self._connected, name).stream(min_chunk_size=PIECE_BYTES)
            pieces = (bytes(piece) for piece in stream)
            if expected is None:
                yield from pieces
                return
            checksum = Checksum(pieces)
            yield from checksum
        if checksum.passed != expected:
            raise damaged(name, expected, checksum.passed)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See ``BlobStore``."""
        if length <= 0:
            return b""
        with self._sentences(checked_name(name)):
            return bytes(obstore.get_range(self._connected, name, start=offset, length=length))

    def delete(self, names: Sequence[str]) -> None:
        """See ``BlobStore``."""
        left = iter(map(checked_name, names))
        while batch := list(islice(left, _DELETED_AT_ONCE)):
            with self._sentences():
                try:
                    obstore.delete(self._connected, batch)
                except FileNotFoundError:
                    self._delete_each(batch)

    def _delete_each(self, names: Sequence[str]) -> None:
        """Where a provider takes one that is not there for an error, the others must go all the same."""
        for name in names:
            try:
                obstore.delete(self._connected, name)
            except FileNotFoundError as error:
                if _no_bucket(error):
                    raise

    def delete_folder(self, folder: str) -> None:
        """See ``BlobStore``."""
        names = self.names(folder)
        while batch := list(islice(names, _DELETED_AT_ONCE)):
            self.delete(batch)

    def names(self, folder: str) -> Iterator[str]:
        """See ``BlobStore``."""
        with self._sentences():
            batches = obstore.list(self._connected, prefix=f"{checked_name(folder)}/")
            for found in chain.from_iterable(batches):
                yield found["path"]

    @contextmanager
    def _sentences(self, name: str = "") -> Iterator[None]:
        """Turns the library's errors into ours."""
        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError, ValueError) as error:
            raise self._sentence(name, error) from None

    def _sentence(self, name: str, error: Exception) -> BlobError:
        of, said = f"The blob store {self._url} (HEADWAY_BLOB_URL)", _first_line(error)
        if isinstance(error, AlreadyExistsError):
            return BlobExistsError(f"There is a blob {name} already, with other bytes; it stays.")
        if isinstance(error, FileNotFoundError):
            if _no_bucket(error):
                return BlobsRefusedError(f"{of} does not exist: create its bucket, or correct the name.")
            return BlobMissingError(f"The blob {name} is not in {self._url}.")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError):
            return BlobsRefusedError(
                f"{of} refuses the credentials: look at its keys (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for S3) "
                f"and what they may do. It says: {said}"
            )
        if isinstance(error, InvalidPathError | NotSupportedError | ValueError):
            return BlobsRefusedError(f"{of} cannot be used: {said}")
        return BlobsAwayError(
            f"{of} does not answer: {said} Look at the network, and at the address and region (AWS_ENDPOINT_URL and "
            "AWS_REGION for S3)."
        )


def _no_bucket(error: Exception) -> bool:
    return any(code in str(error) for code in ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not"))


def _first_line(error: Exception) -> str:
    """What the library says, without its dump of the whole request."""
    text = " ".join(str(error).partition("\n\nDebug source")[0].split())
    return f"{text[:300].rstrip('.')}."


def _plain_http() -> bool:
    """True where the endpoint is named with http://, as of a store on the same network."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
    return any(os.environ.get(name, "").startswith("http://") for name in names)


def _in_parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Without empty pieces, which would end a stream early."""
    return filter(None, pieces)
