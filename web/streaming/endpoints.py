"""The endpoints of the streams.

A login and its roles are checked before the stream begins, and again whenever the stream reads the rows: at the latest
after ``POLL_S``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Annotated, cast

from fastapi import FastAPI, Header, HTTPException, Query, Request
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.responses import StreamingResponse

from runner.events import Stream
from web.json_api import RowId, make_router
from web.operations.errors import NotFoundError
from web.security.access import Actor
from web.security.auth import CurrentUser
from web.services import Services, ServicesDep
from web.streaming.changes import change_events
from web.streaming.hub import Hub
from web.streaming.joined import Events, ended, joined_events
from web.streaming.snapshots import front_snapshot, run_snapshot, step_snapshot
from web.streaming.step_log import StepLogStream
from web.streaming.subjects import Subject, parse_subjects
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


def _hub(request: Request, user: Actor, streams: int = 1) -> Hub:
    """The hub. Raises HTTPException 503 when so many more streams may not be opened by this user."""
    hub = cast("Hub", request.app.state.streams)
    if not hub.has_room(streams, user.user_id):
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
    stream: Annotated[Stream | None, Query(description="Only what came from there, as soon as it is stored.")] = None,
) -> StreamingResponse:
    """A step's log from byte ``offset`` (or ``Last-Event-ID``) on, and changes of its run.

    ``log``: base64 of the next bytes; the event's id is the offset after them, in the whole log.
    ``changed``: the run's page reads differently now. ``restart``: the step starts again, with a new log. ``end``: the
    log is complete; data has the step's state.
    """
    start = int(last_event_id) if last_event_id.isdecimal() else offset
    hub = _hub(request, user)
    subject = Subject("", "step", step_id, seen, start)
    return _response(hub, user, _step_events(services, hub, user, subject, stream))


@router.get("/runs/{run_id}/stream")
def run_stream(
    request: Request, services: ServicesDep, user: CurrentUser, run_id: RowId, seen: str = ""
) -> StreamingResponse:
    """``changed`` whenever the run's page reads differently than version ``seen``; ``end`` when the run has ended."""
    hub = _hub(request, user)
    return _response(hub, user, _run_events(services, hub, user, Subject("", "run", run_id, seen)))


@router.get("/stream")
def front_stream(request: Request, services: ServicesDep, user: CurrentUser, seen: str = "") -> StreamingResponse:
    """``changed`` whenever the front page reads differently than the version ``seen``."""
    hub = _hub(request, user)
    return _response(hub, user, _front_events(services, hub, user, Subject("front", "front", 0, seen)))


@router.get("/events")
def joined_stream(
    request: Request, services: ServicesDep, user: CurrentUser, follow: Annotated[list[str], Query()]
) -> StreamingResponse:
    """The events of several streams over one connection.

    `follow`, once for each, is `front@SEEN`, `run:ID@SEEN` or `step:ID@SEEN+OFFSET`.
    The kind of an event begins with its stream: `run:7 changed`. `gone`: there is no such thing, or you may not see it;
    `lost`: follow it again after a while.
    """
    subjects = parse_subjects(follow)
    hub = _hub(request, user, len(subjects))
    streams = {}
    for subject in subjects:
        try:
            streams[subject.name] = _OPEN[subject.kind](services, hub, user, subject)
        except NotFoundError:
            streams[subject.name] = ended("gone")
    return _response(hub, user, joined_events(streams), len(subjects))


def _step_events(services: Services, hub: Hub, user: Actor, subject: Subject, only: Stream | None = None) -> Events:
    take_snapshot = partial(step_snapshot, services, user, subject.id)
    now = take_snapshot()
    key = ("step", subject.id, user)
    return StepLogStream(services, hub, key, take_snapshot, now, subject.offset, subject.seen, only).events()


def _run_events(services: Services, hub: Hub, user: Actor, subject: Subject) -> Events:
    take_snapshot = partial(run_snapshot, services, user, subject.id)
    take_snapshot()  # raises NotFoundError before the response begins
    return change_events(hub, ("run", subject.id, user), run_channel(subject.id), take_snapshot, subject.seen)


def _front_events(services: Services, hub: Hub, user: Actor, subject: Subject) -> Events:
    take_snapshot = partial(front_snapshot, services, user)
    return change_events(hub, ("front", user), CHANGES_CHANNEL, take_snapshot, subject.seen)


_OPEN: Mapping[str, Callable[[Services, Hub, Actor, Subject], Events]] = {
    "step": _step_events,
    "run": _run_events,
    "front": _front_events,
}


def _response(hub: Hub, user: Actor, events: Events, streams: int = 1) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    counted = hub.counted(user.user_id, streams, events)
    return StreamingResponse(counted, media_type="text/event-stream", headers=headers)
