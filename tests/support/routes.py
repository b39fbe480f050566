"""Every route that an application answers."""

from collections.abc import Iterable, Iterator

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute


def calls_of(app: FastAPI) -> list[str]:
    """Every call that the application answers, as ``GET /path/{parameter}``; of mounts only ``GET /path``."""
    return sorted(set(_calls(app.routes)))


def sockets_of(app: FastAPI) -> list[str]:
    """The paths of all WebSockets."""
    return [route.path for route in app.routes if isinstance(route, WebSocketRoute)]


def _calls(routes: Iterable[BaseRoute]) -> Iterator[str]:
    for route in routes:
        if isinstance(route, Route):
            yield from (f"{method} {route.path}" for method in route.methods or () if method != "HEAD")
        elif isinstance(route, Mount):
            yield f"GET {route.path}"
        elif not isinstance(route, WebSocketRoute):  # how FastAPI keeps a router that was included
            yield from _calls(vars(route)["original_router"].routes)
