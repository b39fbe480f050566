"""An engine that was found and asked what it is: once, when something is first wanted of it."""

import socket
from collections.abc import Mapping
from threading import Lock

from runner.docker.about import About, read_about
from runner.docker.endpoints.resolution import find_endpoint
from runner.docker.endpoints.transport import Transport


class Connection:
    """The engine that the environment or ``docker_host`` names. Safe to use from several threads.

    All of it raises MachineError with the remedy where no engine answers, or one that Headway cannot use.
    """

    def __init__(self, environment: Mapping[str, str], docker_host: str = "") -> None:
        self._environment = dict(environment)
        self._docker_host = docker_host
        self._lock = Lock()
        self._reached: tuple[Transport, About] | None = None

    def _reach(self) -> tuple[Transport, About]:
        with self._lock:
            if self._reached is None:
                transport = Transport(find_endpoint(self._environment, self._docker_host), self._environment)
                try:
                    self._reached = transport, read_about(*transport.get("/version"), str(transport.endpoint))
                except BaseException:
                    transport.close()
                    raise
            return self._reached

    @property
    def transport(self) -> Transport:
        """The way to the engine."""
        return self._reach()[0]

    @property
    def about(self) -> About:
        """Which engine it is, and the version of the API that is spoken with it."""
        return self._reach()[1]

    def ping(self) -> None:
        """Asks whether the engine is there."""
        if self._reached is None:
            self._reach()
        else:
            self.transport.get("/_ping")

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and body of a GET."""
        return self.transport.get(self._versioned(path))

    def open(self, path: str) -> tuple[socket.socket, str]:
        """A new connection, for a request of one's own, and the path with the version that it asks for."""
        return self.transport.connect(), self._versioned(path)

    def _versioned(self, path: str) -> str:
        return f"/v{self.about.api}{path}"

    def close(self) -> None:
        """Ends what was started to reach the engine."""
        if self._reached:
            self._reached[0].close()
