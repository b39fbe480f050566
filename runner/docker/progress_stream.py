"""What the engine says while it pulls or pushes, on a connection of its own, so that it can be ended from outside.

The engine gives up on a pull when nobody listens to it any more; the SDK's answers can only be read to their end.
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


class Answer:
    """The answer to one POST, message by message, to be read once. A refusal is a message too: ``{"error": ...}``.

    ``login`` is what the engine tells the registry; it asks for one even where that is empty.
    """

    def __init__(self, connection: socket.socket, path: str, login: Mapping[str, str]) -> None:
        self._connection = connection
        self._path = path
        self._headers = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(login).encode()).decode()}

    def __iter__(self) -> Iterator[Message]:
        """The messages as they come. Raises MachineError when the engine goes away."""
        http = HTTPConnection("docker")
        http.sock = self._connection
        with translated(), closing(http):
            self._connection.settimeout(None)
            http.request("POST", self._path, headers=self._headers)
            answer = http.getresponse()
            if answer.status >= HTTPStatus.BAD_REQUEST:
                yield {"error": json.loads(answer.read())["message"]}
                return
            rest = b""
            # Not line by line: that would take a connection that was cut for the end.
            while data := answer.read1(READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                yield from (_message(line) for line in lines)

    def close(self) -> None:
        """Hangs up, from any thread: the engine gives up on what nobody else waits for."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def _message(line: bytes) -> Message:
    """Newer engines will say an error in ``errorDetail`` alone."""
    message: Message = json.loads(line)
    detail = message.get("errorDetail")
    return message | {"error": str(detail.get("message"))} if detail and not message.get("error") else message
