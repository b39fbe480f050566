"""The engine's progress messages of a pull or push, on a connection of their own, so that they can be interrupted.

The engine stops a pull when its client closes the connection. The SDK cannot do that: it reads a response to its end.
"""

import base64
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

from runner.docker.error_mapping import translated

READ_BYTES = 64 * 1024
Message = dict[str, Any]


class ProgressStream:
    """The messages of the response to one POST, to be read once. An error status becomes ``{"error": ...}``.

    ``login`` is for the registry. The engine requires the header even if it is empty.
    """

    def __init__(self, connection: socket.socket, path: str, login: Mapping[str, str]) -> None:
        self._connection = connection
        self._path = path
        self._headers = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(login).encode()).decode()}

    def __iter__(self) -> Iterator[Message]:
        """The messages as they arrive. Raises MachineError if the engine goes away."""
        http = HTTPConnection("docker")
        http.sock = self._connection
        with translated(), closing(http):
            self._connection.settimeout(None)
            http.request("POST", self._path, headers=self._headers)
            response = http.getresponse()
            if response.status >= HTTPStatus.BAD_REQUEST:
                yield {"error": json.loads(response.read())["message"]}
                return
            rest = b""
            # Not line by line: readline does not tell a broken connection from the end.
            while data := response.read1(READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                yield from (_message(line) for line in lines)

    def close(self) -> None:
        """Closes the connection, from any thread. The engine stops the pull unless another client waits for it."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def _message(line: bytes) -> Message:
    """Newer engines report an error only in ``errorDetail``; this copies it to ``error``."""
    message: Message = json.loads(line)
    detail = message.get("errorDetail")
    return message | {"error": str(detail.get("message"))} if detail and not message.get("error") else message
