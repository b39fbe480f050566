"""Artifacts of a run as one archive, made while it is sent: zip, or tar compressed with zstd."""

import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import RawIOBase
from typing import Any, Literal, cast

import zstandard

from web.operations.artifacts.listing import begun, bytes_of
from web.operations.errors import NotFoundError
from web.operations.lookup import run_numbered
from web.security.access import Actor
from web.services import OperationServices
from workers.db.models import Artifact
from workers.db.roles import Role
from workers.db.session import reading
from workers.store import artifacts as rows
from workers.store.artifacts import KeptArtifact

ARCHIVED_COUNT_MAX = 100_000
ArchiveFormat = Literal["zip", "tar.zst"]

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that the format has: an archive depends on nothing but its files
_ZSTD_LEVEL = 3
_Files = Iterable[tuple[str, Artifact]]


def open_archive(
    services: OperationServices, actor: Actor, name: str, number: int, folder: str, kind: ArchiveFormat = "zip"
) -> Iterator[bytes]:
    """An archive of the artifacts of a run that are below ``folder``; of all if it is empty."""
    with reading(services.engine) as session:
        _, run = run_numbered(session, actor, name, number, Role.READ, services.settings.retention)
        found = rows.artifacts_of_run(session, run.id, ARCHIVED_COUNT_MAX, folder=folder.strip("/"))
    # Of files with the same name, which two steps of a job kept, the later counts, as when they are restored.
    by_name = {_name_in_archive(each, kind): each.artifact for each in found}
    if not by_name:
        raise NotFoundError(f"Run {number} has no artifacts{f' below {folder!r}' if folder else ''}.")
    return begun(_ARCHIVES[kind](services, by_name.items()))


def _name_in_archive(kept: KeptArtifact, kind: ArchiveFormat) -> str:
    job = re.sub(r"[^A-Za-z0-9._-]+", "_", " ".join((kept.job.name, *kept.job.cell.values()))).strip(". _")
    # Some programs that unpack zip archives take a backslash for a slash, and `..` behind it for the folder above.
    path = kept.artifact.path.replace("\\", "_") if kind == "zip" else kept.artifact.path
    return f"{kept.job.number}-{job or 'pipeline'}/{path}"


class _Written(RawIOBase):
    """Takes what an archive writes, until it is read."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - as the class above declares it
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _zip(services: OperationServices, files: _Files) -> Iterator[bytes]:
    written = _Written()
    with zipfile.ZipFile(cast("Any", written), "w", zipfile.ZIP_STORED) as archive:
        for name, artifact in files:
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | artifact.mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.file_size = artifact.size_bytes
            with archive.open(entry, "w") as target:
                for piece in bytes_of(services, artifact):
                    target.write(piece)
                    yield written.taken()
            yield written.taken()
    yield written.taken()


def _tar_zst(services: OperationServices, files: _Files) -> Iterator[bytes]:
    """A tar archive, written by hand between two headers: the module's own writer wants a file to read from."""
    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()
    for name, artifact in files:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = artifact.size_bytes, artifact.mode
        yield compressor.compress(entry.tobuf(tarfile.PAX_FORMAT))
        for piece in bytes_of(services, artifact):
            yield compressor.compress(piece)
        yield compressor.compress(b"\0" * (-artifact.size_bytes % tarfile.BLOCKSIZE))
    yield compressor.compress(b"\0" * tarfile.BLOCKSIZE * 2) + compressor.flush()


_ARCHIVES: Mapping[ArchiveFormat, Callable[[OperationServices, _Files], Iterator[bytes]]] = {
    "zip": _zip,
    "tar.zst": _tar_zst,
}
