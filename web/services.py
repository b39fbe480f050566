"""What every request may use, made once by whoever starts the server and passed in."""

from dataclasses import dataclass, field
from threading import Event
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request
from redis import Redis
from sqlalchemy import Engine

from web.limits import LoginLimiter
from workers.live import LiveTail
from workers.logs import LogStore
from workers.settings import Settings
from workers.vault import Vault


class Ring(Protocol):
    """Wakes a worker for each of some jobs. Returns at once, whether the queue is there or not."""

    def __call__(self, *job_ids: int) -> object:
        """To be called after the commit: workers must find the rows."""


@dataclass(frozen=True)
class Services:
    """The server's parts.

    ``stopping`` is set when the server is asked to end, so that streams end by themselves.
    """

    settings: Settings
    engine: Engine
    ring: Ring
    logs: LogStore
    vault: Vault
    redis: Redis
    limiter: LoginLimiter = field(default_factory=LoginLimiter)
    stopping: Event = field(default_factory=Event)

    @property
    def live(self) -> LiveTail:
        """The live side of runs. Its methods raise RedisError while Redis is away."""
        return LiveTail(self.redis)

    @property
    def secure(self) -> bool:
        """True where browsers reach the server by https."""
        return self.settings.url.startswith("https://")


def services_of(request: Request) -> Services:
    """The services of the application that answers this request."""
    return cast("Services", request.app.state.services)


# Async, although it awaits nothing: FastAPI runs plain functions in its thread pool, which costs more than this does.
async def _services(request: Request) -> Services:
    return services_of(request)


Wired = Annotated[Services, Depends(_services)]
