"""A number for each request, in its answer and in the lines of the log: who reports a failure can name it."""

import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

HEADER = "x-request-id"
REQUEST_ID_CHARS_MAX = 64
_GIVEN = re.compile(rf"[A-Za-z0-9._-]{{1,{REQUEST_ID_CHARS_MAX}}}")


class RequestIds:
    """Middleware: takes the id that a proxy or a client sends, if it is short and plain, or makes one.

    Another one is replaced: it comes from outside, and would stand in the log and in the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection of the server, as ASGI asks for it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        own = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        # Each request has a task, and so a context, of its own. It ends with it: what Uvicorn logs of a failed request
        # has the id, too.
        clear_contextvars()
        bind_contextvars(request=own)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = own
            await send(message)

        await self._app(scope, receive, send_with_id)
