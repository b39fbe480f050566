"""The limits of a server as the settings make them, and requests that are odd but complete."""

import gzip
import hashlib
import hmac
import resource
import socket
from urllib.parse import urlsplit

import pytest

from tests.web.conftest import REPO, Site
from web.security.client_address import parse_networks
from web.server.http_server import limits_of, raise_open_files_limit
from workers.settings import Settings


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert raise_open_files_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("open_files", "connections"), [(100_000, 8_192), (8_192 + 512, 8_192), (8_192 + 511, 8_191), (1_024, 512), (10, 1)]
)
def test_connections_leave_files_for_the_rest_of_the_process(open_files: int, connections: int) -> None:
    assert limits_of(Settings(), open_files).connections_max == connections


def test_trusted_proxies_are_known_to_the_table_of_connections() -> None:
    settings = Settings(trusted_proxies="10.0.0.0/8 ::1", connections_max=7)
    limits = limits_of(settings, 100_000)
    assert limits.connections_max == 7
    assert limits.trusted == parse_networks("10.0.0.0/8,::1")


def talk(url: str, request: bytes) -> bytes:
    """The whole answer to a request on a connection of its own."""
    where = urlsplit(url)
    got = b""
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as connection:
        connection.sendall(request)
        while piece := connection.recv(65536):
            got += piece
    return got


def post(body: bytes, *headers: bytes, path: bytes = b"/hooks/" + REPO.encode()) -> bytes:
    lines = [b"POST %s HTTP/1.1" % path, b"Host: localhost", b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body


def test_a_client_that_waits_before_it_sends_a_body_is_told_to_go_on_or_that_it_is_too_large(
    site: Site, live_url: str
) -> None:
    expect = b"Expect: 100-continue"
    assert talk(live_url, post(b"{}", expect)).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 ")
    large = b"POST /hooks/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\n"
    assert talk(live_url, large + b"Content-Length: 99999999\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_a_compressed_body_is_not_unpacked(site: Site, live_url: str) -> None:
    """What a small body could unpack to has no limit: its signature is right, and it is no JSON."""
    bomb = gzip.compress(b"x" * 10_000_000)
    digest = hmac.new(site.add_repo().secret.encode(), bomb, hashlib.sha256).hexdigest().encode()
    answer = talk(live_url, post(bomb, b"Content-Encoding: gzip", b"X-Headway-Signature: sha256=" + digest))
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_thousands_of_ranges_cost_no_more_than_the_file(site: Site, live_url: str) -> None:
    ranges = b"Range: bytes=" + b",".join(b"%d-%d" % (at, at) for at in range(0, 5_000, 2))
    request = b"GET /static/headway.css HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + ranges + b"\r\n\r\n"
    answer = talk(live_url, request)
    assert answer.split(b" ", 2)[1] in {b"200", b"206", b"416"}
    assert len(answer) < 500_000


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([b"Transfer-Encoding: chunked", b"Content-Length: 3"], b"400"),
        ([b"Content-Length: 3", b"Content-Length: 4"], b"400"),
        ([b"Content-Length: -1"], b"400"),
        ([b"Content-Length: 1e3"], b"400"),
        ([b"Content-Length: 99999999999999999999999"], b"400"),
        ([b"Transfer-Encoding: gzip"], b"400"),
    ],
)
def test_a_body_of_two_lengths_or_of_none_is_refused(
    site: Site, live_url: str, headers: list[bytes], status: bytes
) -> None:
    request = b"\r\n".join([b"POST /hooks/x HTTP/1.1", b"Host: localhost", b"Connection: close", *headers, b"", b"abc"])
    assert talk(live_url, request).split(b" ", 2)[1] == status
