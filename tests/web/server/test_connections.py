"""What one client can hold of the server, over real sockets, with limits that are reached soon."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPResponse
from ipaddress import ip_network
from urllib.parse import urlsplit

import pytest

from runner.events import Stream
from tests.support.services import eventually
from tests.web.conftest import REPO, Site, running, serving
from web.server import http_protocol
from web.server.connections import ConnectionLimits, ConnectionTable
from web.server.http_protocol import BoundedProtocol
from web.server.http_server import make_server

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
SOON = ConnectionLimits(head_s=0.3, body_s=0.3, stalled_s=0.3, check_every_s=0.05)
MIB = 1024**2
GONE = r"reset|[Bb]roken pipe"


@contextmanager
def client(url: str) -> Iterator[socket.socket]:
    where = urlsplit(url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """All that the server sends until it disconnects."""
    got = b""
    try:
        while piece := connection.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def ask(url: str, request: bytes) -> bytes:
    with client(url) as connection:
        connection.sendall(request)
        return rest(connection)


def answers(url: str) -> bool:
    """Whether the server answers another client at once."""
    started_s = time.monotonic()
    got = ask(url, HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    return got.startswith(b"HTTP/1.1 200 ") and time.monotonic() - started_s < 1


def head(*headers: bytes, path: bytes = b"/healthz") -> bytes:
    return b"\r\n".join([b"GET %s HTTP/1.1" % path, b"Host: localhost", b"Connection: close", *headers, b"", b""])


def padded(size: int) -> bytes:
    """A request whose names and values of headers and address are ``size`` bytes, as they are counted."""
    empty = len("/healthz") + len("host" + "localhost") + 4 + len("connection" + "close") + 4 + len("cookie") + 4
    return head(b"Cookie: " + b"x" * (size - empty))


def test_headers_may_be_as_large_as_the_limit_and_no_larger(site: Site) -> None:
    limits = ConnectionLimits()
    with serving(site.services, limits) as url:
        assert ask(url, padded(limits.head_bytes_max)).startswith(b"HTTP/1.1 200 ")
        assert ask(url, padded(limits.head_bytes_max + 1)).startswith(b"HTTP/1.1 431 ")
        many = [b"X-%d: %s" % (number, b"y" * 20) for number in range(2_000)]
        assert ask(url, head(*many)).startswith(b"HTTP/1.1 431 ")


def test_the_address_of_a_request_has_a_limit(site: Site) -> None:
    limits = ConnectionLimits()
    with serving(site.services, limits) as url:
        longest = b"/healthz?" + b"q" * (limits.request_line_bytes_max - len("/healthz?"))
        assert ask(url, head(path=longest)).startswith(b"HTTP/1.1 200 ")
        assert ask(url, head(path=longest + b"q")).startswith(b"HTTP/1.1 414 ")


@pytest.mark.parametrize(
    "start",
    [
        b"GET /healthz HTTP/1.1\r\nCookie: ",
        b"GET /healthz HTTP/1.1\r\n",
        b"GET /",
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ",
    ],
    ids=["one header", "name of a header", "address", "method", "chunk extension", "trailer"],
)
def test_an_endless_head_is_disconnected_long_before_it_fills_the_memory(site: Site, start: bytes) -> None:
    with serving(site.services, ConnectionLimits()) as url, client(url) as connection:
        sent = 0
        connection.sendall(start)
        with pytest.raises(OSError, match=GONE):  # noqa: PT012 - the loop ends with the error
            while sent < 64 * MIB:
                connection.sendall(b"x" * 65536)
                sent += 65536
        assert sent < 16 * MIB, "what the buffers of two sockets hold"


def test_a_request_that_does_not_arrive_in_time_is_ended_while_others_are_answered(site: Site) -> None:
    site.add_repo()
    post = b"POST /hooks/%s HTTP/1.1\r\nHost: localhost\r\n" % REPO.encode()
    starts = {
        b"": b"",
        b"\r\n": b"",
        b"GET /": b"The headers did not arrive",
        b"GET /healthz HTTP/1.1\r\nHost: local": b"The headers did not arrive",
        post + b"Content-Length: 100\r\n\r\n{": b"The body did not arrive",
        post + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{": b"The body did not arrive",
    }
    with serving(site.services, SOON) as url, ExitStack() as stack:
        slow = [(stack.enter_context(client(url)), start, sentence) for start, sentence in starts.items()]
        for connection, start, _ in slow:
            connection.sendall(start)
        assert answers(url)
        for connection, start, sentence in slow:
            got = rest(connection)
            assert got.startswith(b"HTTP/1.1 408 "), start
            assert sentence in got


@pytest.mark.parametrize(
    "start", [b"GET /healthz HTTP/1.1\r\nA", b"POST /hooks/x HTTP/1.1\r\nContent-Length: 99\r\n\r\n"]
)
def test_a_byte_now_and_then_wins_no_time(site: Site, start: bytes) -> None:
    with serving(site.services, SOON) as url, client(url) as connection:
        connection.sendall(start)
        started_s = time.monotonic()
        with pytest.raises(OSError, match=GONE):  # noqa: PT012 - the loop ends with the error
            while time.monotonic() - started_s < 10:
                connection.sendall(b"a")
                time.sleep(0.05)
        assert time.monotonic() - started_s < 5


def test_a_body_that_comes_after_the_answer_has_the_same_time(site: Site) -> None:
    with serving(site.services, SOON) as url, client(url) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        started_s = time.monotonic()
        with pytest.raises(OSError, match=GONE):  # noqa: PT012 - the loop ends with the error
            while time.monotonic() - started_s < 10:
                connection.sendall(b"1\r\na\r\n")
                time.sleep(0.05)
        assert time.monotonic() - started_s < 5


def test_a_body_of_any_size_after_the_answer_is_not_read_for_ever(site: Site) -> None:
    limits = ConnectionLimits(unread_bytes_max=MIB)
    with serving(site.services, limits) as url, client(url) as connection:
        connection.sendall(b"POST /hooks/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
        sent = 0
        with pytest.raises(OSError, match=GONE):  # noqa: PT012 - the loop ends with the error
            while sent < 64 * MIB:
                connection.sendall(b"x" * 65536)
                sent += 65536
        assert sent < 16 * MIB, "what the buffers of two sockets hold"


def test_an_idle_connection_may_be_used_again(site: Site) -> None:
    with serving(site.services, SOON) as url, client(url) as connection:
        for _ in range(3):
            connection.sendall(HEALTH)
            answer = HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
            time.sleep(0.4)  # longer than the time for a head


def test_a_live_stream_has_no_deadline(site: Site) -> None:
    token = site.token(site.add_user()).encode()
    with serving(site.services, SOON) as url, client(url) as connection:
        connection.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % token)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        time.sleep(1)
        site.add_repo()
        site.queue()
        site.services.live.changed(1)
        eventually(lambda: b"changed" in connection.recv(65536))


def test_a_client_that_does_not_read_its_answers_is_disconnected(site: Site) -> None:
    large = b"GET /static/headway.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
    server = make_server(site.services, replace(SOON, pipelined_max=10**9))
    protocol = server.config.http
    assert isinstance(protocol, type)
    assert issubclass(protocol, BoundedProtocol)
    with running(server) as url, client(url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        eventually(lambda: len(protocol.table))
        deadline_s = time.monotonic() + 10
        # The system may take two minutes to tell a client that does not read.
        with suppress(OSError):
            while len(protocol.table) and time.monotonic() < deadline_s:
                connection.sendall(large)
                time.sleep(0.001)
        eventually(lambda: not len(protocol.table))
        assert answers(url)


@pytest.mark.stress
def test_a_download_that_is_not_read_is_ended_and_one_that_is_read_slowly_is_not(site: Site) -> None:
    site.add_repo()
    begun = site.begin()
    writer = site.services.logs.writer(begun.queued.run_id, begun.queued.job_id, 2, 1)
    for _ in range(8):
        writer.append(os.urandom(MIB), Stream.STDOUT, 1)
    writer.close()
    path = f"/api/steps/{begun.steps[2]}/log".encode()
    request = head(b"Authorization: Bearer " + site.token(site.add_user()).encode(), path=path)
    with serving(site.services, SOON) as url, client(url) as stuck, client(url) as slow:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for connection in (stuck, slow):
            connection.sendall(request)
        got = 0
        started_s = time.monotonic()
        while time.monotonic() - started_s < 1:
            got += len(slow.recv(16 * 1024))
            time.sleep(0.005)
        assert got < 8 * MIB
        assert got + len(rest(slow)) > 8 * MIB
        assert len(rest(stuck)) < 8 * MIB


def test_requests_that_wait_on_one_connection_are_counted(site: Site) -> None:
    limits = ConnectionLimits(pipelined_max=3)
    token = site.token(site.add_user()).encode()
    stream = b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % token
    with serving(site.services, limits) as url:
        with client(url) as connection:
            connection.sendall(stream + HEALTH * 3)
            got = b""
            while b"event: changed" not in got:
                got += connection.recv(65536)
            connection.sendall(HEALTH)
            assert b"HTTP/1.1" not in rest(connection)
        with client(url) as connection:
            connection.sendall(HEALTH * 4)
            got = b""
            while got.count(b"HTTP/1.1 200") < 4:
                got += connection.recv(65536)


def test_the_oldest_waiting_connection_of_an_address_makes_room_for_a_new_one(site: Site) -> None:
    limits = ConnectionLimits(waiting_per_address_max=3)
    with serving(site.services, limits) as url, ExitStack() as stack:
        held = [stack.enter_context(client(url)) for _ in range(3)]
        for connection in held:
            connection.sendall(b"GET /")
        held[1].sendall(b"healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert held[1].recv(65536).startswith(b"HTTP/1.1 200 ")
        newest = stack.enter_context(client(url))
        assert rest(held[0]).startswith(b"HTTP/1.1 503 ")
        newest.sendall(HEALTH)
        assert newest.recv(65536).startswith(b"HTTP/1.1 200 ")
        held[2].sendall(b"healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert held[2].recv(65536).startswith(b"HTTP/1.1 200 ")


def test_the_connections_of_a_trusted_proxy_are_limited_in_total_only(site: Site) -> None:
    limits = ConnectionLimits(waiting_per_address_max=2, connections_max=4, trusted=[ip_network("127.0.0.0/8")])
    with serving(site.services, limits) as url, ExitStack() as stack:
        held = [stack.enter_context(client(url)) for _ in range(4)]
        for connection in held:
            connection.sendall(HEALTH)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        stack.enter_context(client(url))
        assert http_protocol.TOO_MANY_CONNECTIONS.encode() in rest(held[0])


class Held:
    """A connection as the table sees it."""

    def __init__(self, address: str = "192.0.2.1") -> None:
        self.address = self.group = address
        self.evicted = False

    def check(self, now_s: float) -> None:
        """Its time is never over."""

    def evict(self) -> None:
        self.evicted = True


class Loop:
    """A loop whose time stands still."""

    def call_later(self, *_: object) -> None:
        """Nothing is due."""


def table(**limits: int) -> tuple[ConnectionTable, Loop]:
    return ConnectionTable(ConnectionLimits(**limits)), Loop()  # type: ignore[arg-type]


def test_when_all_room_is_taken_a_waiting_connection_goes_and_one_that_is_answered_stays() -> None:
    connections, loop = table(connections_max=2)
    answered, waiting, new, refused = Held("a"), Held("b"), Held("c"), Held("d")
    for each in (answered, waiting):
        assert connections.opened(each, loop)  # type: ignore[arg-type]
    connections.works(answered)
    assert connections.opened(new, loop)  # type: ignore[arg-type]
    assert (answered.evicted, waiting.evicted, len(connections)) == (False, True, 2)
    connections.works(new)
    assert not connections.opened(refused, loop)  # type: ignore[arg-type]
    connections.closed(answered)
    assert connections.opened(refused, loop)  # type: ignore[arg-type]


def test_a_closed_connection_no_longer_waits() -> None:
    connections, loop = table(waiting_per_address_max=1)
    first, second = Held(), Held()
    assert connections.opened(first, loop)  # type: ignore[arg-type]
    connections.closed(first)
    connections.waits(first)
    assert connections.opened(second, loop)  # type: ignore[arg-type]
    assert not first.evicted
    assert not second.evicted
    assert len(connections) == 1
