"""What requests and commands work with: made once when the process starts, and passed in."""

from dataclasses import dataclass, field
from functools import cached_property
from threading import Event
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request
from redis import Redis
from sqlalchemy import Engine
from starlette.requests import HTTPConnection

from workers.blobs import BlobStore, open_blobs
from workers.logs import LogStore
from workers.secrets.vault import Vault
from workers.settings import Settings
from workers.streaming.redis_stream import LiveTail


class WakeWorkers(Protocol):
    """Wakes a worker for each of some jobs. Returns at once, whether the queue answers or not."""

    def __call__(self, *job_ids: int) -> object:
        """To be called after the commit: the workers must find the rows."""


class LoginRateLimit(Protocol):
    """Counts failed logins for each source address and name: see ``web/security/login_limiter.py``."""

    def blocked(self, source: str, name: str = "") -> bool:
        """True while ``source`` has failed too often."""

    def failed(self, source: str, name: str = "") -> None:
        """Counts a failed login."""

    def succeeded(self, source: str, name: str = "") -> None:
        """Forgets the failed logins of ``source`` as ``name``."""


@dataclass(frozen=True)
class OperationServices:
    """What ``web/operations`` needs, in the web server and in a command alike."""

    settings: Settings
    engine: Engine
    wake_workers: WakeWorkers
    logs: LogStore
    vault: Vault

    @cached_property
    def blobs(self) -> BlobStore:
        """The blob store, for what is no log. Connects when it is first used."""
        return open_blobs(self.settings)


@dataclass(frozen=True)
class Services(OperationServices):
    """What requests to the web server need. ``stopping`` is set at shutdown, so that open streams end."""

    redis: Redis
    limiter: LoginRateLimit
    stopping: Event = field(default_factory=Event)

    # Made once: LiveTail backs off for a second after a failure, and a new object would not know of the failure.
    # All threads share it: each call uses a pipeline of its own; shared is only the time until which it backs off.
    @cached_property
    def live(self) -> LiveTail:
        """Publishes live updates of runs. Returns False while Redis does not answer."""
        return LiveTail(self.redis)

    @property
    def secure(self) -> bool:
        """True where browsers reach the server by https."""
        return self.settings.url.startswith("https://")


def services_of(request: HTTPConnection) -> Services:
    """The services of the application that answers this request."""
    return cast("Services", request.app.state.services)


# Async, although it awaits nothing: FastAPI runs plain functions in its thread pool, which costs more than this does.
async def _services(request: Request) -> Services:
    return services_of(request)


ServicesDep = Annotated[Services, Depends(_services)]
