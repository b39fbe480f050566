"""The WebSocket of a shell in a running step.

Binary messages are bytes of the terminal, in both directions. Text messages are JSON: ``{"rows": 24, "columns": 80}``
from the browser, ``{"opened": true}`` and at last ``{"end": sentence, "exit_status": 0}`` to it; the status is
null where the shell did not end by itself.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

import anyio
import structlog
from anyio import to_thread
from fastapi import APIRouter, Query, WebSocket
from redis import RedisError
from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect

from web.json_api import RowId
from web.operations.errors import ConflictError, ForbiddenError, NotFoundError
from web.operations.runs import shells
from web.security.access import Actor
from web.security.auth import LoginNeededError, socket_user
from web.security.long_requests import LongRequests, TooManyAtOnceError
from web.services import Services
from web.streaming.shells.relay import ShellRelay
from workers.shells.limits import COLUMNS_MAX, ROWS_MAX
from workers.shells.messages import BROWSER_LEFT, Size

router = APIRouter(prefix="/api")
LOGIN_NEEDED = "Log in, or send a token: Authorization: Bearer hw_... (headway token create makes one)."
_CLOSED_NORMALLY = 1000
_NOTE_AGAIN_S = (1.0, 5.0, 25.0, 0.0)
_log = structlog.get_logger()


@router.websocket("/steps/{step_id}/shell")
async def shell_socket(
    websocket: WebSocket,
    step_id: RowId,
    rows: int = Query(24, ge=1, le=ROWS_MAX),
    columns: int = Query(80, ge=1, le=COLUMNS_MAX),
) -> None:
    """A shell in a running step. It ends with the step, when it is idle for long, and when the login ends."""
    services = cast("Services", websocket.app.state.services)
    slots = cast("LongRequests", websocket.app.state.long_requests).shells
    try:
        actor = await to_thread.run_sync(socket_user, websocket, services)
        place = await to_thread.run_sync(shells.shell_place, services, actor, step_id)
        slot = slots.take(actor.user_id)
    except tuple(_STATUSES) as error:
        await _refuse(websocket, _STATUSES[type(error)], str(error) or LOGIN_NEEDED)
        return
    except HTTPException as error:
        await _refuse(websocket, error.status_code, error.detail)
        return
    try:
        await _serve(websocket, services, actor, place, Size(rows, columns))
    finally:
        slot.close()


_STATUSES: dict[type[Exception], int] = {
    LoginNeededError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    TooManyAtOnceError: 429,
}


async def _refuse(websocket: WebSocket, status: int, sentence: str) -> None:
    await websocket.send_denial_response(JSONResponse({"error": sentence}, status))


async def _serve(
    websocket: WebSocket, services: Services, actor: Actor, place: shells.ShellPlace, size: Size
) -> None:  # fmt: skip
    await to_thread.run_sync(shells.note_opened, services, actor, place)
    began_s, why = time.monotonic(), "the server was stopped"
    redis = Redis.from_url(services.settings.redis_url, socket_connect_timeout=2, socket_timeout=5)
    try:
        await websocket.accept()
        may_go_on = partial(shells.may_go_on, services, actor, place)
        relay = ShellRelay(websocket, redis, services, place, may_go_on)
        why = await relay.run(size)
        await relay.say_end(why)
        with suppress(WebSocketDisconnect, RuntimeError):  # the browser has gone
            await websocket.close(_CLOSED_NORMALLY)
    except WebSocketDisconnect:
        why = BROWSER_LEFT
    finally:
        seconds = time.monotonic() - began_s
        await _note_closed(partial(shells.note_closed, services, actor, place, seconds, why))
        with suppress(RedisError):
            await redis.aclose()


async def _note_closed(note: Callable[[], None]) -> None:
    """Writes the entry of the end, also where the database was away for a moment; that may be why the shell ended."""
    for pause_s in _NOTE_AGAIN_S:
        try:
            await to_thread.run_sync(note)
        except SQLAlchemyError as error:
            _log.warning("the end of a shell could not be written into the audit log", error=str(error))
        else:
            return
        await anyio.sleep(pause_s)
