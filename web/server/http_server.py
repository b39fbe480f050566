"""The HTTP server: Uvicorn with the limits of its connections."""

import asyncio
import contextlib
import resource
import threading
from types import FrameType

import uvicorn

from web.security.client_address import parse_networks
from web.server.app import create_app
from web.server.connections import ConnectionLimits, ConnectionTable
from web.server.http_protocol import bounded_protocol
from web.services import Services
from workers.settings import Settings
from workers.shells.limits import MESSAGE_BYTES_MAX

_GRACEFUL_S = 5
_SOCKET_MESSAGE_BYTES_MAX = 2 * MESSAGE_BYTES_MAX  # what is a little too large is answered with a sentence
_KEEP_ALIVE_S = 65
_TICK_S = 1.0
_OTHER_FILES = 512
"""Open files of a process besides its connections: database, logs, Redis, templates."""


class HttpServer(uvicorn.Server):
    """Sets ``stopping`` at the signal: Uvicorn waits for open streams before it shuts the application down.

    At rest it does something once a second, for the date of answers: Uvicorn's own loop looks ten times a second
    whether to stop.
    """

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """TERM and INT."""
        super().handle_exit(sig, frame)
        self.stop()

    def stop(self) -> None:
        """Ends the server, from any thread."""
        self._stopping.set()
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    async def main_loop(self) -> None:
        """Runs until the server is to stop."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _TICK_S)


def make_server(services: Services, limits: ConnectionLimits | None = None, port: int = 0) -> HttpServer:
    """A server that is ready to run. Without ``limits`` they are those of the settings."""
    limits = limits or limits_of(services.settings, raise_open_files_limit())
    config = uvicorn.Config(
        create_app(services),
        port=port,
        http=bounded_protocol(limits, ConnectionTable(limits)),
        # Only for shells in running steps: see BoundedProtocol.
        ws="websockets-sansio",
        ws_max_size=_SOCKET_MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        # Uvicorn would trust a local proxy unasked: the application trusts those of the settings.
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        log_config=None,  # the process has configured its log
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACEFUL_S,
    )
    return HttpServer(config, services.stopping)


def limits_of(settings: Settings, open_files_max: int) -> ConnectionLimits:
    """The limits of the settings, with fewer connections where the process may open fewer files."""
    return ConnectionLimits(
        connections_max=max(1, min(settings.connections_max, open_files_max - _OTHER_FILES)),
        trusted=parse_networks(settings.trusted_proxies),
    )


def raise_open_files_limit() -> int:
    """Raises the limit of open files as far as the system allows; the limit. Each connection is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says "unlimited" and refuses it.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2**31
