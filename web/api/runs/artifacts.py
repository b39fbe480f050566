"""Artifacts of runs: listed, one file, or a folder as one archive."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import Query
from starlette.responses import Response

from web.api.schemas import Schema
from web.json_api import RowId, RunNumber, make_router
from web.operations.artifacts.archives import ArchiveFormat, open_archive
from web.operations.artifacts.listing import FOLDER_CHARACTERS_MAX, LISTED_COUNT_MAX, list_artifacts, open_artifact
from web.security.access import Actor
from web.security.auth import CurrentUser
from web.security.content_policies import DOWNLOAD_POLICY
from web.security.long_requests import LongRequests, LongRequestsDep
from web.services import Services, ServicesDep
from workers.store.artifacts import KeptArtifact

router = make_router(410)


class ArtifactSchema(Schema):
    """A file that a step kept. ``mode`` is 493 (0755) for a program, else 420 (0644)."""

    id: int
    job: str
    cell: dict[str, str]
    step: str
    name: str
    path: str
    size_bytes: int
    mode: int
    sha256: str
    created_ms: int
    expires_ms: int | None


class ArtifactsSchema(Schema):
    """Artifacts of a run. ``count`` and ``size_bytes`` are of all. ``next_after`` is there if others follow."""

    count: int
    size_bytes: int
    artifacts: list[ArtifactSchema]
    next_after: int | None = None


@router.get("/repos/{name:path}/runs/{number}/artifacts")
def get_artifacts(
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    number: RunNumber,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=LISTED_COUNT_MAX)] = LISTED_COUNT_MAX,
) -> ArtifactsSchema:
    """The files that the steps of a run have kept, in the order in which they were kept.

    ``after`` is ``next_after`` of the page before.
    """
    found = list_artifacts(services, user, name, number, limit, after)
    return ArtifactsSchema(
        count=found.count,
        size_bytes=found.size_bytes,
        artifacts=[_schema(each) for each in found.artifacts],
        next_after=found.artifacts[-1].artifact.id if found.more else None,
    )


def _schema(kept: KeptArtifact) -> ArtifactSchema:
    artifact, job = kept.artifact, kept.job
    shared = {field: getattr(artifact, field) for field in ArtifactSchema.model_fields if hasattr(artifact, field)}
    return ArtifactSchema(**shared, job=job.name, cell=job.cell, step=kept.step_name)


Folder = Annotated[str, Query(max_length=FOLDER_CHARACTERS_MAX)]


@router.get("/repos/{name:path}/runs/{number}/artifacts.zip", response_class=Response)
async def get_zip(
    services: ServicesDep,
    long_requests: LongRequestsDep,
    user: CurrentUser,
    name: str,
    number: RunNumber,
    folder: Folder = "",
) -> Response:
    """The artifacts of a run as one zip archive: a folder for each job, and in it the paths of its files.

    With ``folder``, those below this path alone.
    """
    return await _archive(services, long_requests, user, (name, number, folder), "zip")


@router.get("/repos/{name:path}/runs/{number}/artifacts.tar.zst", response_class=Response)
async def get_tar_zst(
    services: ServicesDep,
    long_requests: LongRequestsDep,
    user: CurrentUser,
    name: str,
    number: RunNumber,
    folder: Folder = "",
) -> Response:
    """The same as a tar archive that is compressed with zstd."""
    return await _archive(services, long_requests, user, (name, number, folder), "tar.zst")


_ARCHIVE_TYPES: Mapping[ArchiveFormat, str] = {"zip": "application/zip", "tar.zst": "application/zstd"}


async def _archive(
    services: Services, long_requests: LongRequests, user: Actor, of: tuple[str, int, str], kind: ArchiveFormat
) -> Response:
    name, number, folder = of
    headers = _as_attachment(f"{name.rpartition('/')[2]}-{number}-artifacts.{kind}")
    opened = partial(open_archive, services, user, name, number, folder, kind)
    return await long_requests.archives.opened_apart(user.user_id, opened, headers, _ARCHIVE_TYPES[kind])


@router.get("/artifacts/{artifact_id}", response_class=Response)
async def get_artifact(
    services: ServicesDep, long_requests: LongRequestsDep, user: CurrentUser, artifact_id: RowId
) -> Response:
    """One file, byte for byte. Browsers save it and never show it: it is not Headway's own."""
    headers: dict[str, str] = {}

    def opened() -> Iterator[bytes]:
        artifact, pieces = open_artifact(services, user, artifact_id)
        headers.update(_as_attachment(artifact.path.rpartition("/")[2]))
        headers.update({"content-length": str(artifact.size_bytes), "etag": f'"{artifact.sha256}"'})
        return pieces

    return await long_requests.files.opened_apart(user.user_id, opened, headers, "application/octet-stream")


def _as_attachment(name: str) -> dict[str, str]:
    """Headers for bytes that steps wrote: saved under this name, never shown, and without rights where shown anyway."""
    return {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "content-security-policy": DOWNLOAD_POLICY,
        "x-content-type-options": "nosniff",
    }
