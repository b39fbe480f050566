"""What every request may use, made once by whoever starts the server and passed in."""

from dataclasses import dataclass, field
from functools import cached_property
from threading import Event
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request
from redis import Redis
from sqlalchemy import Engine

from workers.logs import LogStore
from workers.secrets.vault import Vault
from workers.settings import Settings
from workers.streaming.redis_stream import LiveTail


class Ring(Protocol):
    """Wakes a worker for each of some jobs. Returns at once, whether the queue is there or not."""

    def __call__(self, *job_ids: int) -> object:
        """To be called after the commit: workers must find the rows."""


class Limiter(Protocol):
    """Counts failed logins by where they come from: see ``web/security/login_limiter.py``."""

    def blocked(self, source: str) -> bool:
        """True while ``source`` has failed too often."""

    def failed(self, source: str) -> None:
        """Notes a failed login."""

    def succeeded(self, source: str) -> None:
        """Forgets the failed logins of ``source``."""


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
    limiter: Limiter
    stopping: Event = field(default_factory=Event)

    @cached_property
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
