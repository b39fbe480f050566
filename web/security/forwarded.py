"""ASGI middleware: who asks, and for which host, also behind a proxy; and which hosts are answered."""

import re
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from web.security.client_address import is_address, is_in, parse_networks, plain_address

WRONG_HOST = (
    "This server does not answer for the host {host!r}. If it is a name of this server, an administrator adds it to "
    "HEADWAY_ALLOWED_HOSTS, or sets HEADWAY_BASE_URL to the address that browsers use."
)
NO_HOST = "The request must name exactly one host, in the header Host."

# Signed or without content: their answers do not depend on the host, and who sends them may know another name.
_ANY_HOST = ("/healthz", "/readyz", "/hooks/")
_SHOWN_CHARS_MAX = 100
_REQUESTS = frozenset({"http", "websocket"})
# A parser of whole URLs accepts more than a host here, such as text before an @ or after a ].
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?))(?::[0-9]{1,5})?")


class TrustedProxies:
    """Middleware: believes ``X-Forwarded-For``, ``-Proto`` and ``-Host`` of the proxies in ``networks`` alone."""

    def __init__(self, app: ASGIApp, *, networks: str) -> None:
        self._app = app
        self._networks = parse_networks(networks)
        trusted = [str(network) for network in self._networks]
        self._forwarded = ProxyHeadersMiddleware(app, trusted_hosts=trusted)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection of the server, as ASGI asks for it."""
        if scope["type"] not in _REQUESTS or not scope.get("client") or not is_in(scope["client"][0], self._networks):
            await self._app(scope, receive, send)
            return
        scope["client"] = (plain_address(scope["client"][0]), scope["client"][1])
        hosts = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
        if hosts:
            # Each proxy adds what it was asked for at the end.
            host = hosts[-1].rpartition(b",")[2].strip()
            kept = [header for header in scope["headers"] if header[0] != b"host"]
            scope["headers"] = [(b"host", host), *kept]
        await self._forwarded(scope, receive, send)  # type: ignore[arg-type]


class AllowedHosts:
    """Middleware: answers 421 for hosts that are not this server's, so that no other site's name leads here (DNS
    rebinding).

    Allowed are the base URL's host and ``names``; IP addresses and names without a dot, which no public name server can
    lead here; and ``localhost``.
    """

    def __init__(self, app: ASGIApp, *, base_url: str, names: str) -> None:
        self._app = app
        own = [urlsplit(base_url).hostname or "", *names.replace(",", " ").split()]
        self._names = frozenset(name.lower().rstrip(".") for name in own if name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection of the server, as ASGI asks for it."""
        if scope["type"] in _REQUESTS and not scope["path"].startswith(_ANY_HOST):
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not hosts[0]:
                await JSONResponse({"error": NO_HOST}, 400)(scope, receive, send)
                return
            host = hosts[0].decode("latin1")
            if not self.allows(host):
                error = WRONG_HOST.format(host=host[:_SHOWN_CHARS_MAX])
                await JSONResponse({"error": error}, 421)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def allows(self, host: str) -> bool:
        """Whether a request for this host, with or without a port, is answered."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        if address := found["ipv6"]:
            return is_address(address)
        name = found["name"].lower().removesuffix(".")
        return name in self._names or "." not in name or name.endswith(".localhost") or is_address(name)
