"""The endpoints of the streams.

A login and its roles are checked before the stream begins, and again whenever the stream reads the rows: at the latest
after ``POLL_S``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, cast

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request
from redis.asyncio import Redis
from starlette.responses import StreamingResponse

from web.security.auth import CurrentUser, current_user
from web.services import Services, ServicesDep
from web.streaming.changes import change_events
from web.streaming.snapshots import front_snapshot, run_snapshot, step_snapshot
from web.streaming.step_log import StepLogStream
from workers.streaming.redis_stream import CHANGES_KEY, run_key

router = APIRouter(prefix="/api", dependencies=[Depends(current_user)], tags=["streams"])
RowId = Annotated[int, Path(ge=1, le=2**53)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opens one asynchronous Redis client for all streams when the application starts, and closes it at shutdown."""
    services = cast("Services", app.state.services)
    app.state.streams_redis = Redis.from_url(services.settings.redis_url, socket_connect_timeout=2, socket_timeout=5)
    try:
        yield
    finally:
        services.stopping.set()
        await app.state.streams_redis.aclose()


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
    redis = request.app.state.streams_redis
    return _response(StepLogStream(services, redis, take_snapshot, step_id, now, start, seen).events())


@router.get("/runs/{run_id}/stream")
def run_stream(
    request: Request, services: ServicesDep, user: CurrentUser, run_id: RowId, seen: str = ""
) -> StreamingResponse:
    """``changed`` whenever the run's page reads differently than version ``seen``; ``end`` when the run has ended."""
    take_snapshot = partial(run_snapshot, services, user, run_id)
    take_snapshot()  # raises NotFoundError before the response begins
    redis = request.app.state.streams_redis
    return _response(change_events(services, redis, run_key(run_id), take_snapshot, seen))


@router.get("/stream")
def front_stream(request: Request, services: ServicesDep, user: CurrentUser, seen: str = "") -> StreamingResponse:
    """``changed`` whenever the front page reads differently than the version ``seen``."""
    redis = request.app.state.streams_redis
    return _response(change_events(services, redis, CHANGES_KEY, partial(front_snapshot, services, user), seen))


def _response(events: AsyncIterator[bytes]) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
