"""Which requests count as sent by Headway's own pages: all others that change something are refused (CSRF)."""

from urllib.parse import urlsplit

from fastapi import HTTPException, Request, WebSocket
from starlette.requests import HTTPConnection

from web.services import services_of

# Browsers leave them out.
_PORTS = {"http": ":80", "https": ":443"}
_OF_SOCKETS = {"ws": "http", "wss": "https"}
OTHER_SITE = "This request came from another site. Open Headway's own page and try again there."


def check_same_origin(request: Request) -> None:
    """Refuses a cross-site request (CSRF) with HTTPException 403.

    Browsers say in a header where a request comes from; over plain http they send only the origin.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        allowed = request.headers.get("origin", "").lower() == _own_origin(request)
    if not allowed:
        raise HTTPException(403, OTHER_SITE)


def check_socket_origin(websocket: WebSocket) -> None:
    """Refuses a WebSocket that a page of another site opens, with HTTPException 403.

    Browsers open those without asking, and send cookies along. They always send the origin, too.
    """
    if websocket.headers.get("origin", "").lower() != _own_origin(websocket):
        raise HTTPException(403, OTHER_SITE)


def _own_origin(request: HTTPConnection) -> str:
    """The origin of Headway's own pages, at the host that the request names.

    A proxy that is not trusted cannot say that browsers reached it by https: at its host the base URL says so.
    """
    host, scheme = request.headers.get("host", "").lower(), _OF_SOCKETS.get(request.url.scheme, request.url.scheme)
    base = urlsplit(services_of(request).settings.url.lower())
    if scheme == "http" and _origin(base.scheme, host) == _origin(base.scheme, base.netloc):
        scheme = base.scheme
    return _origin(scheme, host)


def _origin(scheme: str, host: str) -> str:
    return f"{scheme}://{host.removesuffix(_PORTS.get(scheme, ''))}"
