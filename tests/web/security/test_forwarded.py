"""Whose ``X-Forwarded-`` headers are believed, and which hosts are answered."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import Request
from starlette.testclient import TestClient

from tests.web.conftest import PASSWORD, Site
from web.security.client_address import client_group
from web.security.forwarded import AllowedHosts
from web.server.app import create_app
from workers import store
from workers.db.session import reading
from workers.settings import Settings

SAME_SITE = {"sec-fetch-site": "same-origin"}


def application(site: Site, **settings: Any) -> Any:
    parts = site.services
    return create_app(replace(parts, settings=parts.settings.model_copy(update=settings)))


def seen_by(app: Any, peer: str, headers: dict[str, str]) -> tuple[str, str, str]:
    """Address, scheme and host, as the application sees them."""

    @app.get("/seen")  # type: ignore[untyped-decorator]
    def seen(request: Request) -> list[str]:
        assert request.client is not None
        return [request.client.host, request.url.scheme, request.headers["host"]]

    with TestClient(app, base_url="http://localhost", client=(peer, 5)) as client:
        address, scheme, host = client.get("/seen", headers=headers).json()
    return address, scheme, host


FORWARDED = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https", "x-forwarded-host": "ci"}


def test_without_the_setting_no_proxy_is_believed_not_even_on_this_machine(site: Site) -> None:
    assert seen_by(application(site), "127.0.0.1", FORWARDED) == ("127.0.0.1", "http", "localhost")


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"])
def test_a_trusted_proxy_says_who_asks_and_for_which_host(site: Site, peer: str) -> None:
    app = application(site, trusted_proxies="10.0.0.0/8, fd00::/64")
    assert seen_by(app, peer, FORWARDED) == ("203.0.113.7", "https", "ci")


def test_another_address_than_the_proxys_is_not_believed(site: Site) -> None:
    app = application(site, trusted_proxies="10.0.0.0/8")
    assert seen_by(app, "192.0.2.9", FORWARDED) == ("192.0.2.9", "http", "localhost")


def test_what_the_client_itself_wrote_into_the_headers_is_not_believed(site: Site) -> None:
    """A proxy appends what it saw; the rest may be forged."""
    app = application(site, trusted_proxies="10.0.0.0/8")
    forged = {"x-forwarded-for": "127.0.0.1, 203.0.113.7, 10.9.9.9", "x-forwarded-host": "evil.example, ci"}
    assert seen_by(app, "10.1.2.3", forged) == ("203.0.113.7", "http", "ci")


@pytest.mark.parametrize("text", ["nonsense", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8;::1"])
def test_a_setting_that_names_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings(trusted_proxies=text)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("ci.example.com", True),
        ("CI.Example.COM:443", True),
        ("ci.example.com.", True),
        ("builds.internal.example", True),
        ("localhost", True),
        ("localhost:8080", True),
        ("app.localhost", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("web", True),
        ("evil.example", False),
        ("ci.example.com.evil.example", False),
        ("evil.example/ci.example.com", False),
        ("ci.example.com@evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("evil.notlocalhost", False),
        ("[::1", False),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]:80", True),
        ("[::1].evil.example", False),
        ("[::1].evil.example:80", False),
        ("[::1]evil.example", False),
        ("x[::1]", False),
        ("[evil.example]", False),
        ("[::1]:x", False),
        ("127.0.0.1:80.evil.example", False),
        ("evil.example@localhost", False),
        ("localhost@evil.example", False),
        ("localhost/.evil.example", False),
        ("localhost?.evil.example", False),
        ("localhost#.evil.example", False),
        ("localhost\\.evil.example", False),
        ("localhost\t.evil.example", False),
        ("local host", False),
        ("localhost:", False),
        ("ci.example.com..", False),
        (".", False),
        ("localhost\n", False),
        ("", False),
        (":80", False),
    ],
)
def test_only_this_servers_names_are_answered(host: str, *, allowed: bool) -> None:
    hosts = AllowedHosts(_nothing, base_url="https://ci.example.com/", names="builds.internal.example, other.example")
    assert hosts.allows(host) is allowed


async def _nothing(*_: object) -> None:
    """An application that is not asked."""


def test_another_name_is_answered_421_with_what_to_do(site: Site, client: TestClient) -> None:
    """A page of another site, whose name was made to lead to this machine (DNS rebinding), reads nothing here."""
    answer = client.get("/login", headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert "'evil.example'" in answer.json()["error"]
    assert "HEADWAY_ALLOWED_HOSTS" in answer.json()["error"]
    assert "content-security-policy" in answer.headers
    long = client.get("/login", headers={"host": "e" * 5_000 + ".example"})
    assert len(long.json()["error"]) < 400


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/hooks/acme/harbour"])
def test_health_and_hooks_are_answered_under_any_name(site: Site, client: TestClient, path: str) -> None:
    assert client.request("GET", path, headers={"host": "10-0-0-7.pods.example"}).status_code != 421


def test_two_hosts_or_none_are_answered_400(site: Site, client: TestClient) -> None:
    assert client.get("/login", headers=[("host", "localhost"), ("host", "ci.test")]).status_code == 400
    assert client.get("/login", headers={"host": ""}).status_code == 400


@pytest.fixture
def from_address(site: Site) -> Callable[..., int]:
    """Logs in from an address behind a proxy; the status."""
    app = application(site, trusted_proxies="10.0.0.1")
    site.add_user(password=PASSWORD)

    def login(address: str, name: str = "ada", password: str = PASSWORD, cookies: dict[str, str] | None = None) -> int:
        options: dict[str, Any] = {"base_url": "http://localhost", "follow_redirects": False}
        with TestClient(app, client=("10.0.0.1", 5), cookies=dict(cookies or {}), **options) as client:
            answer = client.post(
                "/login", data={"name": name, "password": password}, headers=SAME_SITE | {"x-forwarded-for": address}
            )
            if cookies is not None:
                cookies |= {cookie.name: cookie.value or "" for cookie in client.cookies.jar}
        return answer.status_code

    return login


@pytest.mark.stress
def test_who_guesses_locks_out_no_other_name_and_no_other_address(from_address: Callable[..., int]) -> None:
    browser: dict[str, str] = {}
    assert from_address("203.0.113.7", cookies=browser) == 303
    for _ in range(10):
        assert from_address("203.0.113.7", password="guess") == 403
        assert from_address("203.0.113.7", name="mara", password="guess") == 403
    assert from_address("203.0.113.7") == 429
    assert from_address("203.0.113.8") == 303
    # The user's own browser is known: it is counted apart from its address.
    assert from_address("203.0.113.7", cookies=browser) == 303
    for _ in range(10):
        assert from_address("203.0.113.7", password="guess", cookies=browser) == 403
    assert from_address("203.0.113.7", cookies=browser) == 429
    # The cookie is this user's: it helps with no other name.
    assert from_address("203.0.113.7", name="mara", cookies=browser) == 429


def test_a_customers_ipv6_network_is_one_client() -> None:
    assert client_group("2001:db8:1:2::7") == client_group("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert client_group("2001:db8:1:3::7") != client_group("2001:db8:1:2::7")
    assert client_group("::ffff:192.0.2.1") == client_group("192.0.2.1") == "192.0.2.1"
    assert client_group("?") == "?"


@pytest.mark.parametrize(
    ("origin", "headers", "status"),
    [
        ("https://ci.example.com", {}, 303),
        ("http://ci.example.com", {}, 403),
        ("https://ci.example.com:443", {}, 403),
        ("https://ci.example.com", {"host": "ci.example.com:443"}, 303),
        ("https://other.example", {}, 403),
        ("http://10.0.0.9:8080", {"host": "10.0.0.9:8080"}, 303),
        ("https://10.0.0.9:8080", {"host": "10.0.0.9:8080"}, 403),
        ("https://10.0.0.9:8080", {"host": "10.0.0.9:8080", "x-forwarded-proto": "https"}, 403),
    ],
)
def test_the_scheme_is_part_of_an_origin(site: Site, origin: str, headers: dict[str, str], status: int) -> None:
    """The proxy in front of the base URL's host speaks http to Headway, and is not trusted to say what browsers use."""
    app = application(site, base_url="https://ci.example.com")
    assert logged_in(site, app, {"host": "ci.example.com", "origin": origin, **headers}) == status


def test_a_trusted_proxy_says_which_scheme_browsers_use(site: Site) -> None:
    app = application(site, trusted_proxies="10.1.2.3")
    headers = {"host": "10.0.0.9:8080", "x-forwarded-proto": "https"}
    assert logged_in(site, app, headers | {"origin": "http://10.0.0.9:8080"}) == 403
    assert logged_in(site, app, headers | {"origin": "https://10.0.0.9:8080"}) == 303


def logged_in(site: Site, app: Any, headers: dict[str, str]) -> int:
    """The status of a login whose browser sends these headers to Headway through 10.1.2.3."""
    with reading(site.engine) as session:
        known = store.user_by_name(session, "ada")
    if known is None:
        site.add_user(password=PASSWORD)
    with TestClient(app, base_url="http://localhost", follow_redirects=False, client=("10.1.2.3", 5)) as client:
        return client.post("/login", data={"name": "ada", "password": PASSWORD}, headers=headers).status_code
