"""Runs of working trees, which come as packs of git: what `headway run --remote` calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, BinaryIO

from anyio import CapacityLimiter, to_thread
from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from web.api.schemas import StartedRun
from web.json_api import make_router
from web.operations.errors import InvalidInputError
from web.operations.runs.sent_trees import check_request, start_tree
from web.security.auth import CurrentUser
from web.security.long_requests import LongRequestsDep
from web.services import ServicesDep
from workers.triggers.manual import InvalidRequestError, inputs_from
from workers.triggers.sent_trees import SentTreeRun

router = make_router(413, 429)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class SentTreeRequest(BaseModel):
    """The run of a tree that is sent. ``base`` is empty where no commit of the repository is its parent."""

    model_config = ConfigDict(extra="forbid")

    commit: str = Field(max_length=64, description="The id of the commit that the pack has.")
    base: str = Field("", max_length=64, description="Its parent, a commit of the repository.")
    branch: str = Field("", max_length=1000, description="The branch that it counts as one of; the default branch.")
    input: list[str] = Field([], max_length=100, description="NAME=VALUE; with any, the event is manual.")
    no_reuse: bool = Field(default=False, description="Run every step, also where an earlier result could be taken.")


@router.post("/repos/{name:path}/runs/sent", status_code=202, openapi_extra=_BODY)
async def send_tree(
    request: Request,
    services: ServicesDep,
    long_requests: LongRequestsDep,
    user: CurrentUser,
    name: str,
    asked: Annotated[SentTreeRequest, Query()],
) -> StartedRun:
    """Starts a run of a commit that the repository does not have. The body is a pack of git that has it.

    What ``base``, a commit of the repository, has need not be in the pack. The run is untrusted: it gets no secret.
    """
    wanted = _wanted(asked, by_admin=user.administers)
    with closing(long_requests.trees.take(user.user_id)) as slot:
        # Before the body is read: who may not send a tree writes nothing to the disk.
        check = partial(check_request, services, user, name, wanted)
        await to_thread.run_sync(check, limiter=slot.threads)
        async with _spooled(request, services.settings.data_dir, slot.threads) as pack:
            start = partial(start_tree, services, user, name, wanted, pack)
            queued = await to_thread.run_sync(start, limiter=slot.threads)
    return StartedRun(run=queued.number, url=services.settings.run_url(name, queued.number))


def _wanted(asked: SentTreeRequest, *, by_admin: bool) -> SentTreeRun:
    try:
        inputs = inputs_from(asked.input)
    except InvalidRequestError as error:
        raise InvalidInputError(str(error)) from None
    return SentTreeRun(asked.commit, asked.base, asked.branch, inputs, by_admin=by_admin, no_reuse=asked.no_reuse)


@asynccontextmanager
async def _spooled(request: Request, folder: Path, threads: CapacityLimiter) -> AsyncIterator[BinaryIO]:
    """The body as a file without a name. Middleware limits its size, and the server the time that it takes."""
    with TemporaryFile(dir=folder) as file:
        async for piece in request.stream():
            await to_thread.run_sync(file.write, piece, limiter=threads)
        yield file
