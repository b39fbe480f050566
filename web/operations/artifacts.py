"""The artifacts of a run: listed, and their bytes, one file or many as one archive."""

import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import RawIOBase
from itertools import chain
from typing import Any, cast

from web.operations.errors import GoneError, NotFoundError
from web.operations.lookup import artifact_with_id, run_numbered
from web.security.access import Actor
from web.services import OperationServices
from workers.artifacts.storage import blob_name
from workers.blobs import BlobMissingError, StoredBlob
from workers.db.models import Artifact
from workers.db.roles import Role
from workers.db.session import reading
from workers.store import artifacts as rows
from workers.store.artifacts import KeptArtifact

LISTED_COUNT_MAX = 1000
ARCHIVED_COUNT_MAX = 100_000
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that the format has: an archive depends on nothing but its files


@dataclass(frozen=True)
class ArtifactList:
    """Some of a run's artifacts. ``count`` and ``size_bytes`` are of all; ``more`` if others come after these."""

    count: int
    size_bytes: int
    artifacts: list[KeptArtifact]
    more: bool


def list_artifacts(
    services: OperationServices, actor: Actor, name: str, number: int, limit: int, after_id: int = 0
) -> ArtifactList:
    """The artifacts of a run that come after ``after_id``, ``limit`` at most."""
    with reading(services.engine) as session:
        _, run = run_numbered(session, actor, name, number, Role.READ, services.settings.retention)
        count, size_bytes = rows.count_artifacts(session, run.id)
        found = rows.artifacts_of_run(session, run.id, limit + 1, after_id) if count else []
    return ArtifactList(count, size_bytes, found[:limit], more=len(found) > limit)


def open_artifact(services: OperationServices, actor: Actor, artifact_id: int) -> tuple[Artifact, Iterator[bytes]]:
    """An artifact and its bytes. Raises BlobError in the end if they are not those that were kept."""
    with reading(services.engine) as session:
        artifact = artifact_with_id(session, actor, artifact_id)
    return artifact, _begun(_bytes_of(services, artifact))


def open_archive(services: OperationServices, actor: Actor, name: str, number: int, folder: str) -> Iterator[bytes]:
    """A zip archive of the artifacts of a run that are below ``folder``; of all if it is empty."""
    with reading(services.engine) as session:
        _, run = run_numbered(session, actor, name, number, Role.READ, services.settings.retention)
        found = rows.artifacts_of_run(session, run.id, ARCHIVED_COUNT_MAX, folder=folder.strip("/"))
    # Of files with the same name, which two steps of a job kept, the later counts, as when they are restored.
    by_name = {_name_in_archive(each): each.artifact for each in found}
    if not by_name:
        raise NotFoundError(f"Run {number} has no artifacts{f' below {folder!r}' if folder else ''}.")
    return _begun(_zip(services, by_name.items()))


def _bytes_of(services: OperationServices, artifact: Artifact) -> Iterator[bytes]:
    return services.blobs.get(blob_name(artifact.blob_key), StoredBlob(artifact.size_bytes, artifact.sha256))


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces. The first is read now, so that what is missing gets an answer of its own."""
    try:
        first = next(pieces, b"")
    except BlobMissingError:
        raise GoneError("The bytes of this artifact are gone from the blob store.") from None
    return chain([first], pieces)


def _name_in_archive(kept: KeptArtifact) -> str:
    job = re.sub(r"[^A-Za-z0-9._-]+", "_", " ".join((kept.job.name, *kept.job.cell.values()))).strip(". _")
    return f"{kept.job.number}-{job or 'pipeline'}/{kept.artifact.path}"


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


def _zip(services: OperationServices, files: Iterable[tuple[str, Artifact]]) -> Iterator[bytes]:
    written = _Written()
    with zipfile.ZipFile(cast("Any", written), "w", zipfile.ZIP_STORED) as archive:
        for name, artifact in files:
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | artifact.mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.file_size = artifact.size_bytes
            with archive.open(entry, "w") as target:
                for piece in _bytes_of(services, artifact):
                    target.write(piece)
                    yield written.taken()
            yield written.taken()
    yield written.taken()
