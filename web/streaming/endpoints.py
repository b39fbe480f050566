"""The endpoints of the streams.

A login and its roles are checked before the stream begins, and again whenever the stream reads the rows: at the latest
after ``POLL_S``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Annotated, cast

from fastapi import FastAPI, Header, HTTPException, Query, Request
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.responses import StreamingResponse

from web.json_api import RowId, make_router
from web.security.auth import CurrentUser
from web.services import Services, ServicesDep
from web.streaming.changes import change_events
from web.streaming.hub import Hub
from web.streaming.snapshots import front_snapshot, run_snapshot, step_snapshot
from web.streaming.step_log import StepLogStream
from workers.streaming.redis_stream import CHANGES_CHANNEL, run_channel

router = make_router(503)
TOO_MANY_STREAMS = "Too many live pages are open on this server. Close some, or try again in half a minute."


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Starts the hub of all streams when the application starts, and ends it at shutdown."""
    services = cast("Services", app.state.services)
    # One immediate retry, for a connection that a restart of Redis has cut. The default would wait for seconds.
    retry = Retry(NoBackoff(), 1)
    redis = Redis.from_url(services.settings.redis_url, socket_connect_timeout=2, socket_timeout=5, retry=retry)
    app.state.streams = Hub(redis, services.stopping.is_set)
    hub = asyncio.create_task(app.state.streams.run())
    try:
        yield
    finally:
        services.stopping.set()
        hub.cancel()  # no stream is open any more
        with suppress(asyncio.CancelledError):
            await hub
        await redis.aclose()


def _hub(request: Request) -> Hub:
    """The hub. Raises HTTPException 503 when no more streams may be opened."""
    hub = cast("Hub", request.app.state.streams)
    if hub.full:
        raise HTTPException(503, TOO_MANY_STREAMS, {"retry-after": "30"})
    return hub


@router.get("/steps/{step_id}/stream")
def step_stream(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    step_id: RowId,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    seen: str = "",
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """A step's log from byte ``offset`` (or ``Last-Event-ID``) on, and changes of its run.

    ``log``: base64 of the next bytes; the event's id is the offset after them. ``changed``: the run's page reads
    differently now. ``restart``: the step starts again, with a new log. ``end``: the log is complete; data has the
    step's state.
    """
    take_snapshot = partial(step_snapshot, services, user, step_id)
    now = take_snapshot()
    start = int(last_event_id) if last_event_id.isdecimal() else offset
    key = ("step", step_id, user)
    return _response(StepLogStream(services, _hub(request), key, take_snapshot, now, start, seen).events())


@router.get("/runs/{run_id}/stream")
def run_stream(
    request: Request, services: ServicesDep, user: CurrentUser, run_id: RowId, seen: str = ""
) -> StreamingResponse:
    """``changed`` whenever the run's page reads differently than version ``seen``; ``end`` when the run has ended."""
    take_snapshot = partial(run_snapshot, services, user, run_id)
    take_snapshot()  # raises NotFoundError before the response begins
    return _response(change_events(_hub(request), ("run", run_id, user), run_channel(run_id), take_snapshot, seen))


@router.get("/stream")
def front_stream(request: Request, services: ServicesDep, user: CurrentUser, seen: str = "") -> StreamingResponse:
    """``changed`` whenever the front page reads differently than the version ``seen``."""
    take_snapshot = partial(front_snapshot, services, user)
    return _response(change_events(_hub(request), ("front", user), CHANGES_CHANNEL, take_snapshot, seen))


def _response(events: AsyncIterator[bytes]) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
