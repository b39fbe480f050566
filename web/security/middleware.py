"""ASGI middleware: security headers on every response, and a size limit on every request body."""

from collections.abc import Mapping

from anyio import CapacityLimiter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.security.content_policies import PAGE_POLICY
from web.security.password_hashing import BUSY, RETRY_AFTER_S

BODY_BYTES_MAX = 1024 * 1024
"""Of a request to a page or to the API: a secret's value with all its characters escaped fits."""

LOGIN_BODY_BYTES_MAX = 32 * 1024
"""Of a login: it is read before anything is known about its sender."""

BODY_TOO_LARGE = "The body is larger than {limit:,} bytes, the limit{setting}."

_HEADERS: Mapping[str, str] = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Browsers revalidate each time, which an ETag makes cheap; shared caches keep no page of a logged-in user.
    "cache-control": "private, no-cache",
}


class SecurityHeaders:
    """Middleware: adds headers so that pages cannot be framed or sniffed and load nothing from other sites."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        headers = {**_HEADERS, "strict-transport-security": "max-age=31536000"} if https else _HEADERS
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection of the server, as ASGI asks for it."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                names = {name for name, _ in given}
                message["headers"] = [*given, *(header for header in self._headers if header[0] not in names)]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class BodyLimit:
    """Middleware: answers 413 while it reads a body larger than its route's limit, whatever Content-Length says.

    Starlette's own middleware answers with plain text; this one lets the application's error handler answer.
    """

    def __init__(self, app: ASGIApp, *, webhook_bytes_max: int, tree_bytes_max: int) -> None:
        self._app = app
        self._of_tree = (tree_bytes_max, " of HEADWAY_SENT_TREE_BYTES_MAX")
        self._limits = {"/hooks/": (webhook_bytes_max, " of HEADWAY_WEBHOOK_BODY_BYTES_MAX")}
        self._limits["/login"] = (LOGIN_BODY_BYTES_MAX, "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection of the server, as ASGI asks for it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bytes_max, setting = self._limit_of(scope["path"])
        left = bytes_max

        async def receive_within_limit() -> Message:
            nonlocal left
            if left == bytes_max and int(Headers(scope=scope).get("content-length", "0")) > left:
                raise HTTPException(413, BODY_TOO_LARGE.format(limit=bytes_max, setting=setting))
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, BODY_TOO_LARGE.format(limit=bytes_max, setting=setting))
            return message

        await self._app(scope, receive_within_limit, send)

    def _limit_of(self, path: str) -> tuple[int, str]:
        """The bytes, and the setting that they come from."""
        if path.startswith("/api/repos/") and path.endswith("/runs/sent"):
            return self._of_tree
        of_path = (limit for start, limit in self._limits.items() if path.startswith(start))
        return next(of_path, (BODY_BYTES_MAX, ""))


class LoginGate:
    """Middleware: answers logins with 429 while all threads for them are taken, before their form is read.

    A refusal must cost little: those who guess send more than can be checked.
    """

    def __init__(self, app: ASGIApp, *, threads: CapacityLimiter) -> None:
        self._app = app
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection of the server, as ASGI asks for it."""
        login = scope["type"] == "http" and scope["path"] == "/login" and scope["method"] == "POST"
        if login and not self._threads.available_tokens:
            headers = {"retry-after": str(RETRY_AFTER_S), "connection": "close"}
            await PlainTextResponse(BUSY, 429, headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)
