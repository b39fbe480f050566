"""The pages of a run's artifacts: the list, one file in a frame, and what the frame gets."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from web.operations.artifacts.listing import FOLDER_CHARACTERS_MAX, list_artifacts
from web.operations.artifacts.viewing import open_view, shown_file
from web.operations.lookup import run_numbered
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.security.content_policies import PAGE_WITH_FRAME_POLICY, SHOWN_ARTIFACT_CONNECTIONS, SHOWN_ARTIFACT_POLICY
from web.security.long_requests import LongRequestsDep
from web.services import ServicesDep
from workers.db.roles import Role
from workers.db.session import reading

ARTIFACTS_ON_A_PAGE = 200

_FILE_HEADERS = {
    "content-security-policy": SHOWN_ARTIFACT_POLICY,
    # A document without an origin is another site for its own pictures and fonts. The address alone is the permission.
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",
    "referrer-policy": "no-referrer",
    "connection-allowlist": SHOWN_ARTIFACT_CONNECTIONS,
    "x-robots-tag": "none",
    "x-dns-prefetch-control": "off",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), usb=(), serial=(), hid=()",
}

RunNumber = Annotated[int, Path(ge=1, le=2**53)]
router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])
files = APIRouter(include_in_schema=False)


@router.get("/repos/{name:path}/runs/{number}/artifacts")
def artifacts_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    number: RunNumber,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    folder: Annotated[str, Query(max_length=FOLDER_CHARACTERS_MAX)] = "",
) -> Response:
    """The artifacts of a run, or those below a folder."""
    with reading(services.engine) as session:
        repo, run = run_numbered(session, user, name, number, Role.READ, services.settings.retention)
    found = list_artifacts(services, user, name, number, ARTIFACTS_ON_A_PAGE, after, folder)
    return page(
        request,
        "artifacts.html",
        user=user,
        repo=repo,
        run=run,
        found=found,
        folder=folder.strip("/"),
        after=after,
    )


@router.get("/repos/{name:path}/runs/{number}/artifacts/{artifact_id}")
def artifact_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    number: RunNumber,
    artifact_id: Annotated[int, Path(ge=1, le=2**53)],
) -> Response:
    """One file, in a frame from which it reaches nothing."""
    with reading(services.engine) as session:
        repo, run = run_numbered(session, user, name, number, Role.READ, services.settings.retention)
    view = open_view(services, user, artifact_id)
    response = page(request, "artifact.html", user=user, repo=repo, run=run, view=view)
    response.headers["content-security-policy"] = PAGE_WITH_FRAME_POLICY
    return response


@files.get("/artifact-views/{link}/{path:path}")
async def artifact_file(services: ServicesDep, long_requests: LongRequestsDep, link: str, path: str) -> Response:
    """A file as the frame gets it. The address is the permission: from the frame no cookie is sent."""
    shown = await to_thread.run_sync(shown_file, services, link, path, limiter=long_requests.files.threads)
    headers = _FILE_HEADERS | {"content-length": str(shown.artifact.size_bytes), "etag": f'"{shown.artifact.sha256}"'}
    if not shown.media_type:
        headers["content-disposition"] = "attachment"
    # Starlette adds a charset to what is text; a page of HTML says its own.
    headers["content-type"] = shown.media_type or "application/octet-stream"
    return long_requests.files.response(shown.user_id, lambda: shown.pieces, headers)
