"""Server-sent events: what moves on a page. Who may see it is settled in a short session before the stream begins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, cast

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Path, Query, Request
from redis.asyncio import Redis
from starlette.responses import StreamingResponse

from web.security.auth import visitor
from web.services import Services, Wired
from web.streaming.tail import Follow, changes, front_now, run_now, step_now
from workers.streaming.redis_stream import CHANGES_KEY, run_key

router = APIRouter(prefix="/api", dependencies=[Depends(visitor)], tags=["streams"])
Id = Annotated[int, Path(ge=1, le=2**53)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One async Redis client for all streams, as long as the application lives."""
    services = cast("Services", app.state.services)
    app.state.live = Redis.from_url(services.settings.redis_url, socket_connect_timeout=2, socket_timeout=5)
    try:
        yield
    finally:
        services.stopping.set()
        await app.state.live.aclose()


@router.get("/steps/{step_id}/stream")
def step_stream(
    request: Request,
    services: Wired,
    step_id: Id,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    seen: str = "",
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """A step's log from byte ``offset`` (or ``Last-Event-ID``) on, and word of changes of its run.

    ``log``: base64 of the next bytes, the event's id is the offset after them. ``changed``: the run's page reads
    differently now. ``restart``: the step begins anew, with a new log. ``end``: the log is complete; data is the
    step's state.
    """
    now = step_now(services, step_id)
    if now is None:
        raise HTTPException(404, f"There is no step {step_id} here.")
    start = int(last_event_id) if last_event_id.isdecimal() else offset
    follow = Follow(services, request.app.state.live, step_id, now, start, seen)
    return _events(follow.events())


@router.get("/runs/{run_id}/stream")
def run_stream(request: Request, services: Wired, run_id: Id, seen: str = "") -> StreamingResponse:
    """``changed`` whenever the run's page reads differently than version ``seen``; ``end`` when the run has ended."""
    if run_now(services, run_id) is None:
        raise HTTPException(404, f"There is no run {run_id} here.")
    return _events(changes(services, request.app.state.live, run_key(run_id), lambda: run_now(services, run_id), seen))


@router.get("/stream")
def front_stream(request: Request, services: Wired, seen: str = "") -> StreamingResponse:
    """``changed`` whenever the front page reads differently than the version ``seen``."""
    return _events(changes(services, request.app.state.live, CHANGES_KEY, lambda: front_now(services), seen))


def _events(events: AsyncIterator[bytes]) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
