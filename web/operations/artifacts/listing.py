"""Lists the artifacts of a run, and opens one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from web.operations.errors import GoneError
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
FOLDER_CHARACTERS_MAX = 1024
"""Of a path by which artifacts are chosen: none that is kept is longer."""


@dataclass(frozen=True)
class ArtifactList:
    """Some of a run's artifacts. ``count`` and ``size_bytes`` are of all; ``more`` if others come after these."""

    count: int
    size_bytes: int
    artifacts: list[KeptArtifact]
    more: bool


def list_artifacts(
    services: OperationServices, actor: Actor, name: str, number: int, limit: int, after_id: int = 0, folder: str = ""
) -> ArtifactList:
    """The artifacts of a run, or of a folder of it, that come after ``after_id``, ``limit`` at most."""
    with reading(services.engine) as session:
        _, run = run_numbered(session, actor, name, number, Role.READ, services.settings.retention)
        count, size_bytes = rows.count_artifacts(session, run.id)
        found = rows.artifacts_of_run(session, run.id, limit + 1, after_id, folder.strip("/")) if count else []
    return ArtifactList(count, size_bytes, found[:limit], more=len(found) > limit)


def open_artifact(services: OperationServices, actor: Actor, artifact_id: int) -> tuple[Artifact, Iterator[bytes]]:
    """An artifact and its bytes. Raises BlobError in the end if they are not those that were kept."""
    with reading(services.engine) as session:
        artifact = artifact_with_id(session, actor, artifact_id)
    return artifact, begun(bytes_of(services, artifact))


def bytes_of(services: OperationServices, artifact: Artifact) -> Iterator[bytes]:
    """The bytes of an artifact, as they are read from the blob store."""
    return services.blobs.get(blob_name(artifact.blob_key), StoredBlob(artifact.size_bytes, artifact.sha256))


def begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces. The first is read now, so that what is missing gets an answer of its own."""
    try:
        first = next(pieces, b"")
    except BlobMissingError:
        raise GoneError("The bytes of this artifact are gone from the blob store.") from None
    return chain([first], pieces)
