"""The connection to the engine: finds it and asks for its version once, at the first request."""

import json
import socket
from collections.abc import Mapping
from http import HTTPStatus
from threading import Lock
from typing import Any

from pipelines.state import Reason
from runner.docker.compatibility import EngineVersion, parse_engine_version
from runner.docker.endpoints.resolution import find_endpoint
from runner.docker.endpoints.transport import REQUEST_TIMEOUT_S, Transport
from runner.docker.error_mapping import EngineAnswerError, answer_message
from runner.errors import MachineError

_SHOWN_CHARS_MAX = 200


class Connection:
    """The engine that the environment or ``docker_host`` names. Safe to use from several threads.

    Every method raises MachineError, with what to do, if no engine answers or Headway cannot use it.
    """

    def __init__(self, environment: Mapping[str, str], docker_host: str = "") -> None:
        self._environment = dict(environment)
        self._docker_host = docker_host
        self._lock = Lock()
        self._connected: tuple[Transport, EngineVersion] | None = None

    def _connect(self) -> tuple[Transport, EngineVersion]:
        with self._lock:
            if self._connected is None:
                transport = Transport(find_endpoint(self._environment, self._docker_host), self._environment)
                try:
                    self._connected = (
                        transport,
                        parse_engine_version(*transport.get("/version"), str(transport.endpoint)),
                    )
                except BaseException:
                    transport.close()
                    raise
            return self._connected

    @property
    def transport(self) -> Transport:
        """How the engine is reached."""
        return self._connect()[0]

    @property
    def version(self) -> EngineVersion:
        """The engine's version and the API version that Headway uses with it."""
        return self._connect()[1]

    def ping(self, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Checks that the engine answers, and well: what stands in front of one may answer in its place."""
        if self._connected is None:
            self._connect()
            return
        status, body = self.transport.get("/_ping", timeout_s)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            said = body.decode(errors="replace").strip()[:_SHOWN_CHARS_MAX]
            where = self.transport.endpoint
            raise MachineError(Reason.ENGINE_GONE, f"the Docker Engine at {where} says {status}: {said}")

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and body of a GET."""
        return self.transport.get(self._versioned(path))

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The body of the answer to a request; ``body`` is sent as JSON.

        Raises EngineAnswerError for an error status, and MachineError if no engine answers.
        """
        sent = None if body is None else json.dumps(body).encode()
        status, answer = self.transport.request(method, self._versioned(path), sent)
        if status >= HTTPStatus.BAD_REQUEST:
            raise EngineAnswerError(status, answer_message(answer))
        return answer

    def open(self, path: str) -> tuple[socket.socket, str]:
        """A new connection for a raw request, and the path with the API version."""
        return self.transport.connect(), self._versioned(path)

    def _versioned(self, path: str) -> str:
        return f"/v{self.version.api}{path}"

    def close(self) -> None:
        """Ends the ssh relay, if there is one."""
        if self._connected:
            self._connected[0].close()
