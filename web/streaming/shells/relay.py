"""Relays one shell between a browser and the worker that runs it."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import cast

import anyio
from anyio import to_thread
from fastapi import WebSocket
from redis import RedisError
from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Message as ASGIMessage
from starlette.websockets import WebSocketDisconnect

from web.operations.runs.shells import ShellPlace
from web.services import Services
from workers.secrets.vault import VaultError
from workers.shells import limits
from workers.shells.messages import (
    BROWSER_LEFT,
    Direction,
    Kind,
    Message,
    OpenRequest,
    Sealer,
    Size,
    channel_of,
    end_in,
    list_key,
    sealed_request,
)

_ASK_AGAIN_S = 0.5
_BLOCK_S = 1.0
_POLL_S = 0.05
_STOPPING_POLL_S = 0.5
NO_ANSWER = (
    "The worker of this step does not answer. It may be of a version without shells, have HEADWAY_STEP_SHELLS=false, "
    "or be lost."
)
WORKER_LOST = "The worker of this step does not answer any more."
NOT_ALLOWED = "The shell was closed: you may not use it any more."
STOPPED = "The shell was closed: this server was stopped."
MESSAGE_TOO_LARGE = f"The shell was closed: more than {limits.MESSAGE_BYTES_MAX:,} bytes came at once."
NOT_READ = "The shell was closed: it does not read what is typed."
NO_REDIS = "The shell was closed: Redis does not answer."
NO_DATABASE = "The shell was closed: the database does not answer, and so not whether you may use it."


class ShellRelay:
    """One shell. ``may_go_on`` says, in another thread, whether its login may still use it."""

    def __init__(
        self, websocket: WebSocket, redis: Redis, services: Services, place: ShellPlace, may_go_on: Callable[[], bool]
    ) -> None:
        self._websocket, self._redis, self._services = websocket, redis, services
        self._place, self._may_go_on = place, may_go_on
        self._shell = secrets.token_hex(16)
        self._sealer = Sealer(services.vault, self._shell, Direction.IN)
        self._unsealer = Sealer(services.vault, self._shell, Direction.OUT)
        self._sending = asyncio.Lock()
        self._opened = self._worker_ended = False
        self._exit_status: int | None = None

    async def run(self, size: Size) -> str:
        """Opens the shell, and relays until it has ended. The sentence that says why."""
        ended: list[str] = []
        try:
            await self._relay(size, ended)
        finally:
            with suppress(RedisError):
                if self._worker_ended:
                    await self._redis.delete(list_key(self._shell, Direction.IN))
                else:
                    await self._send(Message(Kind.END))
                await self._redis.delete(list_key(self._shell, Direction.OUT))
        return ended[0]

    async def _relay(self, size: Size, ended: list[str]) -> None:
        async with anyio.create_task_group() as group:

            async def until_end(part: Callable[[], Awaitable[str]]) -> None:
                ended.append(await self._sentence_of(part))
                # Repeated until each part has ended: after one Task.cancel() alone, a part went on now and then.
                group.cancel_scope.cancel()

            for part in (self._from_browser, partial(self._to_browser, size.bounded()), self._watch):
                group.start_soon(until_end, part)

    async def _sentence_of(self, part: Callable[[], Awaitable[str]]) -> str:
        """Why a part of the relay ended."""
        try:
            why = await part()
        except WebSocketDisconnect:
            why = BROWSER_LEFT
        except (RedisError, VaultError):
            why = NO_REDIS
        except SQLAlchemyError:
            why = NO_DATABASE
        return STOPPED if why == BROWSER_LEFT and self._services.stopping.is_set() else why

    async def say_end(self, sentence: str) -> None:
        """Tells the browser, if it is still there. With the shell's exit status where it has one."""
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._websocket.send_text(json.dumps({"end": sentence, "exit_status": self._exit_status}))

    async def _from_browser(self) -> str:
        while True:
            received = await self._websocket.receive()
            if received["type"] == "websocket.disconnect":
                return BROWSER_LEFT
            typed = received.get("bytes")
            message = Message(Kind.DATA, typed) if typed is not None else size_of(received.get("text") or "")
            if message is None:
                continue
            if len(message.data) > limits.MESSAGE_BYTES_MAX:
                return MESSAGE_TOO_LARGE
            if not await self._send_when_taken(message):
                return NOT_READ

    async def _send_when_taken(self, message: Message) -> bool:
        """False if the worker takes nothing for so long that the shell counts as stuck."""
        waiting = await self._send(message)
        deadline_s = time.monotonic() + limits.SILENCE_S_MAX
        while waiting >= limits.WAITING_MESSAGES_MAX:
            if time.monotonic() >= deadline_s:
                return False
            await asyncio.sleep(_POLL_S)
            waiting = int(await self._redis.llen(list_key(self._shell, Direction.IN)))
        return True

    async def _to_browser(self, size: Size) -> str:
        began_s = received_s = time.monotonic()
        request = sealed_request(
            self._services.vault,
            self._place.job_id,
            self._place.attempt,
            OpenRequest(self._shell, self._place.step, size.rows, size.columns),
        )
        while True:
            if not self._opened:
                # A worker that subscribes only now, or again, has missed the one before.
                await self._redis.publish(channel_of(self._place.job_id), request)
            key = list_key(self._shell, Direction.OUT)
            taken = await self._redis.blpop([key], timeout=_BLOCK_S if self._opened else _ASK_AGAIN_S)
            now_s = time.monotonic()
            if taken:
                received_s = now_s
                if (why := await self._show(self._unsealer.unseal(cast("bytes", taken[1])))) is not None:
                    return why
            elif not self._opened and now_s - began_s >= limits.OPENING_S_MAX:
                return NO_ANSWER
            elif now_s - received_s >= limits.SILENCE_S_MAX:
                return WORKER_LOST

    async def _show(self, message: Message) -> str | None:
        """Passes a message of the worker on. The sentence of the last one."""
        self._opened = True
        match message.kind:
            case Kind.OPENED:
                await self._to_page({"type": "websocket.send", "text": json.dumps({"opened": True})})
            case Kind.DATA:
                await self._to_page({"type": "websocket.send", "bytes": message.data})
            case Kind.END:
                self._worker_ended = True
                end = end_in(message)
                self._exit_status = end.exit_status
                return end.sentence
            case _:
                pass
        return None

    async def _to_page(self, sent: ASGIMessage) -> None:
        try:
            await self._websocket.send(sent)
        except RuntimeError as error:  # what Uvicorn raises where the connection was closed meanwhile
            raise WebSocketDisconnect(reason=str(error)) from None

    async def _watch(self) -> str:
        """Says every few seconds that the browser is there, as long as it may be."""
        while True:
            if not await to_thread.run_sync(self._may_go_on):
                return NOT_ALLOWED
            await self._send(Message(Kind.ALIVE))
            deadline_s = time.monotonic() + limits.ALIVE_EVERY_S
            while time.monotonic() < deadline_s:
                if self._services.stopping.is_set():
                    return STOPPED
                await asyncio.sleep(_STOPPING_POLL_S)

    async def _send(self, message: Message) -> int:
        """Returns how many messages wait for the worker then."""
        key = list_key(self._shell, Direction.IN)
        with anyio.CancelScope(shield=True):  # a number that is taken and not sent would be a gap for the worker
            async with self._sending, self._redis.pipeline(transaction=False) as pipe:
                pipe.rpush(key, self._sealer.seal(message))
                pipe.expire(key, limits.WAITING_LIFETIME_S)
                waiting = int((await pipe.execute())[0])
        return waiting


def size_of(text: str) -> Message | None:
    """The size of the terminal that a text message has; None for any other text."""
    try:
        asked = json.loads(text)
        return Size(int(asked["rows"]), int(asked["columns"])).bounded().message()
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
