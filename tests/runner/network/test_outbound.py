"""HTTP requests to servers that a repository names: what is connected to, through which proxy, with which login."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from runner.network.egress import server_egress
from runner.network.outbound import REDIRECTS_MAX, ClosedAddressError, Outbound
from tests.support.certificate_authority import CertificateAuthority
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.git_server import GitServer, git_server

Never = Callable[[str], bool]


def never(_: str) -> bool:
    return False


def outbound(is_closed: Never = never, is_closed_host: Never = never, is_own: Never = never) -> Outbound:
    return Outbound(is_closed, is_closed_host, is_own)


def proxied(**variables: str) -> Outbound:
    egress = server_egress(variables, None, step_proxy=False)
    return Outbound(never, never, never, egress.git_environment(Path()))


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with forward_proxy(names=("lfs.corp",), login=True) as found:
        yield found


@pytest.fixture
def echo(httpserver: HTTPServer) -> HTTPServer:
    """Answers with what it was asked."""

    def answer(request: Request) -> Response:
        return Response(f"{request.method} {request.full_path} {request.headers.get('Authorization')}")

    httpserver.expect_request("/x").respond_with_handler(answer)
    return httpserver


def said(sending: Outbound, url: str, **headers: str) -> str:
    with sending.open("GET", url, headers) as response:
        return response.read().decode()


def test_a_request_goes_to_its_server_with_its_query_and_the_login_of_its_address(echo: HTTPServer) -> None:
    assert said(outbound(), f"http://u:p%20q@localhost:{echo.port}/x?a=1#b") == "GET /x?a=1 Basic dTpwIHE="


@pytest.mark.parametrize("url", ["http://closed.invalid/x", "ftp://localhost/x", "file:///etc/passwd", "x"])
def test_a_closed_address_is_not_asked(url: str) -> None:
    with pytest.raises(ClosedAddressError):
        outbound(is_closed=lambda each: "closed" in each).open("GET", url, {})


def test_a_name_that_resolves_to_a_closed_address_by_now_is_not_connected_to(echo: HTTPServer) -> None:
    changed = outbound(is_closed_host=lambda address: address in {"127.0.0.1", "::1"})
    with pytest.raises(ClosedAddressError):
        said(changed, echo.url_for("/x"))
    assert echo.log == []
    own = outbound(is_closed_host=lambda _: True, is_own=lambda url: url == echo.url_for("/x"))
    assert said(own, echo.url_for("/x")).startswith("GET /x")


def test_a_login_is_not_sent_on_to_another_port(echo: HTTPServer) -> None:
    with HTTPServer(port=0) as other:
        other.expect_request("/near").respond_with_data("", 302, {"Location": "/far"})
        other.expect_request("/far").respond_with_data("", 307, {"Location": echo.url_for("/x")})
        assert said(outbound(), other.url_for("/near"), Authorization="Basic x") == "GET /x? None"
        assert [request.headers["Authorization"] for request, _ in other.log] == ["Basic x"] * 2


@pytest.mark.parametrize("over", [0, 1])
def test_only_so_many_redirects_are_followed(echo: HTTPServer, over: int) -> None:
    for number in range(REDIRECTS_MAX + over):
        to = f"/{number + 1}" if number + 1 < REDIRECTS_MAX + over else "/x"
        echo.expect_request(f"/{number}").respond_with_data("", 302, {"Location": to})
    if over:
        with pytest.raises(OSError, match="more than 5 redirects"):
            said(outbound(), echo.url_for("/0"))
    else:
        assert said(outbound(), echo.url_for("/0")).startswith("GET /x")


def test_through_a_proxy(echo: HTTPServer, proxy: ForwardProxy) -> None:
    through = dict(proxy.environment)
    assert said(proxied(**through), f"http://lfs.corp:{echo.port}/x?a=1") == "GET /x?a=1 None"
    direct = proxied(**through, NO_PROXY="lfs.corp")
    with pytest.raises(OSError, match=r"not known|resolve|address"):
        said(direct, f"http://lfs.corp:{echo.port}/x")


def test_through_a_proxy_with_tls(tmp_path: Path, proxy: ForwardProxy) -> None:
    company = CertificateAuthority(tmp_path)
    with git_server(tmp_path, tls=company.context("lfs.corp")) as server:
        port = int(server.server_address[1])
        sending = proxied(**dict(proxy.environment))
        trusting = Outbound(never, never, never, {**sending.variables, "GIT_SSL_CAINFO": str(company.file)})
        with trusting.open("GET", f"https://lfs.corp:{port}/none", {}) as response:
            assert response.status == 404
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            sending.open("GET", f"https://lfs.corp:{port}/none", {})
        away(server, trusting, port)


def away(server: GitServer, sending: Outbound, port: int) -> None:
    """An encrypted server sends to a plain one."""
    server.moved = {"/gone": f"http://lfs.corp:{port}"}
    with pytest.raises(ClosedAddressError):
        sending.open("GET", f"https://lfs.corp:{port}/gone/x", {})


def test_a_proxy_that_refuses_or_is_of_another_kind_is_a_sentence(proxy: ForwardProxy) -> None:
    port = urlsplit(proxy.environment["HTTPS_PROXY"]).port
    with pytest.raises(OSError, match="the proxy opens no connection"):
        proxied(HTTPS_PROXY=f"http://127.0.0.1:{port}").open("GET", "https://lfs.corp/x", {})
    with pytest.raises(OSError, match="a proxy of the kind socks5 is not used"):
        proxied(ALL_PROXY="socks5://127.0.0.1:1").open("GET", "https://lfs.corp/x", {})


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("*", True),
        ("localhost", True),
        (".other, b", False),
        ("127.0.0.0/8", True),
        ("10.0.0.0/8", False),
        ("nonsense/8,", False),
    ],
)
def test_which_hosts_are_reached_without_the_proxy(echo: HTTPServer, no_proxy: str, direct: bool) -> None:
    host = "127.0.0.1" if "/" in no_proxy else "localhost"
    sending = proxied(HTTP_PROXY="http://127.0.0.1:1", NO_PROXY=no_proxy)
    if direct:
        assert said(sending, f"http://{host}:{echo.port}/x").startswith("GET")
    else:
        with pytest.raises(OSError, match="refused"):
            said(sending, f"http://{host}:{echo.port}/x")
