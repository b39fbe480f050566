"""The proxies of the harness: what each of their modes does to a connection."""

import socket
from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from tests.chaos.proxy import Mode, Proxies, Proxy
from tests.support.background_server import running

SHORT_S = 0.2


class Echo(BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(100):
            self.request.sendall(data)


class EchoServer(ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """The connection was reset."""


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    thread = Proxies()
    yield thread
    thread.close()


@pytest.fixture
def proxy(proxies: Proxies) -> Iterator[Proxy]:
    with running(EchoServer(("127.0.0.1", 0), Echo)) as server:
        yield proxies.add(server.server_address[1])


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 10)


def ended(client: socket.socket) -> bool:
    """Whether the connection ends, in order or not, without a byte."""
    try:
        client.sendall(b"x")
        return client.recv(10) == b""
    except OSError:
        return True


def test_an_open_proxy_forwards_and_a_cut_one_ends_old_and_new_connections(proxies: Proxies, proxy: Proxy) -> None:
    with connected(proxy) as client:
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"
        proxies.change(proxy, Mode.CUT)
        assert ended(client)
        with connected(proxy) as late:
            assert ended(late)
    proxies.change(proxy, Mode.OPEN)
    with connected(proxy) as again:
        again.sendall(b"again")
        assert again.recv(10) == b"again"


def test_a_proxy_that_delays_forwards_later(proxies: Proxies, proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxies.change(proxy, Mode.DELAY, SHORT_S)
        client.settimeout(SHORT_S)
        client.sendall(b"hello")
        with pytest.raises(TimeoutError):
            client.recv(10)
        client.settimeout(10)
        assert client.recv(10) == b"hello"


def test_a_proxy_that_swallows_keeps_connections_open_and_resets_them_in_the_end(
    proxies: Proxies, proxy: Proxy
) -> None:  # fmt: skip
    with connected(proxy) as client:
        proxies.change(proxy, Mode.SWALLOW)
        client.settimeout(SHORT_S)
        client.sendall(b"hello")
        with pytest.raises(TimeoutError):
            client.recv(10)
        client.settimeout(10)
        proxies.change(proxy, Mode.OPEN)
        assert ended(client)
