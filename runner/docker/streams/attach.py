"""A container's streams over a raw connection, attached before the container starts, so that no byte is missed.

The SDK's own stream reader bypasses a buffer that may already hold output (docker-py#425), and reads logs line by line.
Framing of the stream: https://docs.docker.com/reference/api/engine/ (ContainerAttach, "Stream format").
"""

import json
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from itertools import groupby
from operator import itemgetter

from pipelines.state import Reason
from runner.errors import MachineError
from runner.events import Stream

READ_BYTES = 256 * 1024
HEADER_BYTES = 8
QUERY = "stream=1&stdin=1&stdout=1&stderr=1"
LOG_QUERY = "follow=1&stdout=1&stderr=1"
_TLS_PIECE_BYTES = 4096
_END_OF_SHELL = b"\nexit\n"
_STREAMS = {1: Stream.STDOUT, 2: Stream.STDERR}


class Attached:
    """The live streams of one container. Not thread-safe."""

    def __init__(self, connection: socket.socket, early: bytes) -> None:
        self._socket = connection
        self._early = early
        self._buffer = bytearray()
        self.ended = False

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        """Writes to the container's standard input. Raises OSError if the container has ended."""
        self._socket.sendall(data)

    def send_some(self, data: bytes) -> int:
        """Writes what can be written without a wait, and returns how many bytes that were. Raises OSError."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.sendall(data[:_TLS_PIECE_BYTES])
            return len(data[:_TLS_PIECE_BYTES])
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def end_input(self) -> None:
        """Closes the standard input; output goes on. Raises OSError."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.sendall(_END_OF_SHELL)  # TLS, as Python has it, cannot close one direction
        else:
            self._socket.shutdown(socket.SHUT_WR)

    def pending(self) -> bool:
        """True if there is output that a select does not see: it came with the answer's head, or TLS decrypted it."""
        return bool(self._early) or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0)

    def read(self) -> list[tuple[Stream, bytes]]:
        """Waits for output and returns all that has arrived. At the end of the stream ``ended`` becomes true."""
        data, self._early = self._early or self._socket.recv(READ_BYTES), b""
        if data:
            self._buffer += data
        else:
            self.ended = True
        # A program that writes byte by byte makes a frame of each: what is done for each piece would add up.
        by_stream = groupby(self._frames(), key=itemgetter(0))
        return [(stream, b"".join(data for _, data in frames)) for stream, frames in by_stream]

    def _frames(self) -> Iterator[tuple[Stream, bytes]]:
        """Removes the complete frames from the buffer."""
        position, view = 0, bytes(self._buffer)
        while len(view) - position >= HEADER_BYTES:
            size = int.from_bytes(view[position + 4 : position + HEADER_BYTES])
            stream = _STREAMS.get(view[position], Stream.STDOUT)
            start = position + HEADER_BYTES
            end = start + size
            if end > len(view):
                break
            yield stream, view[start:end]
            position = end
        del self._buffer[:position]

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()


class _Terminal(Attached):
    """The stream of a command that has a terminal: one, without frames."""

    def _frames(self) -> Iterator[tuple[Stream, bytes]]:
        data = bytes(self._buffer)
        self._buffer.clear()
        if data:
            yield Stream.STDOUT, data


def attach(connection: socket.socket, path: str) -> Attached:
    """Attaches ``connection`` to a container that is created but not started; ``path`` is the request.

    If the engine refuses, closes the connection and raises MachineError.
    """
    request = f"POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    return _opened(connection, request, "attached")


def replay(connection: socket.socket, path: str) -> Attached:
    """The whole output of a container, from its start until it has ended; ``path`` asks for its log.

    In HTTP 1.0, so that the answer comes without chunks, framed as an attached stream is. Closes the connection and
    raises MachineError if the engine refuses.
    """
    return _opened(connection, f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n", "read")


def attach_exec(connection: socket.socket, path: str, *, terminal: bool) -> Attached:
    """Starts the command that ``path`` names, with its streams. Closes the connection and raises MachineError where
    the engine refuses.
    """
    body = json.dumps({"Detach": False, "Tty": terminal})
    head = f"POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return _opened(connection, head + body, "entered", _Terminal if terminal else Attached)


def _opened(
    connection: socket.socket, request: str, what: str, kind: type[Attached] = Attached
) -> Attached:  # fmt: skip
    with ExitStack() as on_error:
        on_error.callback(connection.close)
        try:
            connection.sendall(request.encode())
            head, early = _read_head(connection)
        except OSError as error:
            message = f"the Docker Engine went away while a container was {what}: {error}"
            raise MachineError(Reason.ENGINE_GONE, message) from error
        status = int(head.split(maxsplit=2)[1])
        if status not in {HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.OK}:
            sentence = f"the Docker Engine did not let a container be {what} (HTTP {status})"
            raise MachineError(Reason.ENGINE_GONE, sentence)
        connection.settimeout(None)
        on_error.pop_all()
    return kind(connection, early)


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head of the response, and the first bytes of the stream if they came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            raise MachineError(
                Reason.ENGINE_GONE, "the Docker Engine closed the connection while a container was attached"
            )
        data += more
    head, _, early = data.partition(b"\r\n\r\n")
    return head, early


def readable(stream: Attached, wake: int | None, timeout_s: float | None) -> bool:
    """Waits for output, for ``wake`` (a file descriptor) or for the timeout; true if there is output."""
    if stream.pending():
        return True
    watched = [stream.fileno()] if wake is None else [stream.fileno(), wake]
    ready, _, _ = select.select(watched, [], [], timeout_s)
    return stream.fileno() in ready
