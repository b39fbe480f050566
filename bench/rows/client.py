"""A client that costs little: the server shares the machine with it."""

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.measure import NotMeasurableError

_READ_BYTES = 65536
_SILENCE_S = 60.0


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A whole request, ready to be sent on a connection that stays open."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class _Line:
    """One connection and what it has received of the present answer."""

    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)

    def send_next(self, requests: Iterator[bytes]) -> bool:
        """Sends the next request; False when none is left."""
        request = next(requests, None)
        if request is not None:
            self.connection.sendall(request)
        return request is not None

    def status(self) -> int | None:
        """The answer's status once all of it is here."""
        data = self.connection.recv(_READ_BYTES)
        if not data:
            raise NotMeasurableError("the server closed a connection in the middle")
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(bytes(head)):
            return None
        self.received.clear()
        return int(head.split(b" ", 2)[1])


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def flood(port: int, requests: Sequence[bytes], at_once: int) -> tuple[float, dict[int, int]]:
    """Sends all requests, so many at a time, on connections that stay open. Seconds, and how often each status came."""
    waiting, statuses = iter(requests), dict[int, int]()
    lines = [_Line(socket.create_connection(("127.0.0.1", port))) for _ in range(at_once)]
    with selectors.DefaultSelector() as selector:
        try:
            started_s = time.perf_counter()
            for line in lines:
                if line.send_next(waiting):
                    selector.register(line.connection, selectors.EVENT_READ, line)
            while selector.get_map():
                _take(selector, waiting, statuses)
            return time.perf_counter() - started_s, statuses
        finally:
            for line in lines:
                line.connection.close()


def _take(selector: selectors.BaseSelector, waiting: Iterator[bytes], statuses: dict[int, int]) -> None:
    ready = selector.select(_SILENCE_S)
    if not ready:
        raise NotMeasurableError(f"the server was silent for {_SILENCE_S:g} s")
    for key, _ in ready:
        line: _Line = key.data
        status = line.status()
        if status is None:
            continue
        statuses[status] = statuses.get(status, 0) + 1
        if not line.send_next(waiting):
            selector.unregister(line.connection)
