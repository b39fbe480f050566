"""Logging in and out, tokens, and requests that another site makes a browser send (CSRF)."""

import re
from dataclasses import replace

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from tests.support.people import OPERATOR
from tests.web.conftest import PASSWORD, REPO, Site
from web.operations.accounts import users
from web.security.auth import hash_password, hashed, password_fits
from web.security.content_policies import PAGE_POLICY
from web.server.app import create_app
from workers import store
from workers.db.models import ApiToken, LoginLink, LoginSession
from workers.db.session import reading, transaction

SAME_SITE = {"sec-fetch-site": "same-origin"}


def login(client: TestClient, name: str = "ada", password: str = PASSWORD, **form: str) -> int:
    return client.post("/login", data={"name": name, "password": password, **form}, headers=SAME_SITE).status_code


def test_after_the_login_the_browser_goes_on_to_the_page_it_asked_for(site: Site, client: TestClient) -> None:
    site.add_user(password=PASSWORD)
    wanted = client.get("/account?x=1").headers["location"]
    assert wanted == "/login?next=%2Faccount%3Fx%3D1"
    answer = client.post(
        "/login", data={"name": "ada", "password": PASSWORD, "next": "/account?x=1"}, headers=SAME_SITE
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?x=1")
    assert client.get("/account").status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        *("https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)", ""),
        *("/\t/evil.test", "/\n/evil.test", "/\r\n/evil.test", "\t//evil.test", "/\x00/evil.test", "/a\x7fevil.test"),
        *("/\u2028/evil.test", "/a\\..\\\\evil.test", " //evil.test", "/\u200b/evil.test"),
    ],
)
def test_a_login_never_redirects_to_another_site(site: Site, client: TestClient, elsewhere: str) -> None:
    site.add_user(password=PASSWORD)
    form = {"name": "ada", "password": PASSWORD, "next": elsewhere}
    assert client.post("/login", data=form, headers=SAME_SITE).headers["location"] == "/"
    assert "evil" not in client.get("/login", params={"next": elsewhere}).text


@pytest.mark.slow
@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("ada", ""), ("", "")])
def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(
    site: Site, client: TestClient, name: str, password: str
) -> None:
    site.add_user(password=PASSWORD)
    answer = client.post("/login", data={"name": name, "password": password}, headers=SAME_SITE)
    assert answer.status_code == 403
    assert "The name or the password is wrong." in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.slow
def test_a_user_without_a_password_cannot_log_in_with_an_empty_one(site: Site, client: TestClient) -> None:
    site.add_user()
    assert login(client, password="") == 403


def test_the_cookie_cannot_be_read_by_scripts_nor_sent_from_other_sites(site: Site, client: TestClient) -> None:
    site.add_user(password=PASSWORD)
    answer = client.post("/login", data={"name": "ada", "password": PASSWORD}, headers=SAME_SITE)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("headway=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Domain" not in cookie


def test_over_https_the_cookie_is_bound_to_this_host(site: Site) -> None:
    site.add_user(password=PASSWORD)
    parts = site.services
    settings = parts.settings.model_copy(update={"base_url": "https://ci.test"})
    app = create_app(replace(parts, settings=settings))
    with TestClient(app, base_url="https://ci.test", follow_redirects=False) as client:
        answer = client.post("/login", data={"name": "ada", "password": PASSWORD}, headers=SAME_SITE)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-headway=")
        assert "; Secure" in cookie
        assert "Path=/;" in cookie
        assert "strict-transport-security" in answer.headers
        assert client.get("/account").status_code == 200


def test_only_a_hash_of_the_cookie_is_stored(site: Site, browser: TestClient) -> None:
    secret = browser.cookies["headway"]
    assert len(secret) >= 43
    with reading(site.engine) as session:
        (row,) = session.query(LoginSession).all()
    assert row.token_hash == hashed(secret)
    assert secret not in row.token_hash


def test_a_link_works_once(site: Site, client: TestClient) -> None:
    link = users.add(site.services, OPERATOR, "ada", is_admin=True)
    address = link.removeprefix("http://localhost:8080")
    assert client.get(address).status_code == 200, "looking at the page must not use the link up"
    form = {"link": address.rpartition("=")[2]}
    assert client.post("/login", data=form, headers=SAME_SITE).status_code == 303
    second = client.post("/login", data=form, headers=SAME_SITE)
    assert second.status_code == 403
    assert "headway user link" in second.text


def test_an_expired_link_does_not_work(site: Site, client: TestClient) -> None:
    link = site.login_link()
    with transaction(site.engine) as session:
        session.execute(update(LoginLink).values(expires_ms=1))
    assert client.post("/login", data={"link": link}, headers=SAME_SITE).status_code == 403


def test_a_session_ends_by_logging_out(browser: TestClient) -> None:
    cookie = browser.cookies["headway"]
    assert browser.post("/logout").headers["location"] == "/login"
    browser.cookies.set("headway", cookie)
    assert browser.get("/account").status_code == 303


def test_an_expired_session_does_not_work(site: Site, browser: TestClient) -> None:
    with transaction(site.engine) as session:
        session.execute(update(LoginSession).values(expires_ms=1))
    assert browser.get("/account").status_code == 303


def test_a_visit_prolongs_a_session(site: Site, browser: TestClient) -> None:
    with transaction(site.engine) as session:
        before = session.query(LoginSession).one().expires_ms - 2 * 24 * 3600 * 1000
        session.execute(update(LoginSession).values(expires_ms=before))
    assert browser.get("/account").status_code == 200
    with reading(site.engine) as session:
        assert session.query(LoginSession).one().expires_ms > before


@pytest.mark.stress
def test_after_too_many_failures_even_the_right_password_is_refused(site: Site, client: TestClient) -> None:
    site.add_user(password=PASSWORD)
    for _ in range(10):
        assert login(client, password="wrong") == 403
    assert login(client) == 429


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost"}, 303),
        ({"origin": "http://LOCALHOST"}, 303),
        ({"origin": "http://localhost:8080", "host": "localhost:8080"}, 303),
        ({"origin": "http://localhost", "host": "localhost:80"}, 303),
        ({"origin": "https://localhost"}, 403),
        ({"origin": "http://localhost:8080"}, 403),
        ({"origin": "http://x@localhost"}, 403),
        ({"origin": "http://localhost/"}, 403),
        ({"origin": "ftp://localhost"}, 403),
        ({"origin": "//localhost"}, 403),
        ({"origin": "localhost"}, 403),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_a_form_from_another_site_is_refused(
    site: Site, browser: TestClient, headers: dict[str, str], status: int
) -> None:
    site.add_repo()
    site.queue()
    del browser.headers["sec-fetch-site"]
    assert browser.post(f"/repos/{REPO}/runs/1/cancel", headers=headers).status_code == status
    assert (site.run().state == "canceled") is (status == 303)


def test_a_login_form_from_another_site_is_refused(site: Site, client: TestClient) -> None:
    site.add_user(password=PASSWORD)
    form = {"name": "ada", "password": PASSWORD}
    assert client.post("/login", data=form, headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_token_works_for_the_api_and_needs_no_origin(site: Site, program: TestClient) -> None:
    site.add_repo()
    site.queue()
    assert program.post(f"/api/repos/{REPO}/runs/1/cancel").status_code == 202


def test_a_tokens_last_use_is_stored_and_only_its_hash(site: Site, program: TestClient) -> None:
    token = program.headers["authorization"].partition(" ")[2]
    assert token.startswith("hw_")
    assert program.get("/api/repos").status_code == 200
    with reading(site.engine) as session:
        row = session.query(ApiToken).one()
    assert row.last_used_ms is not None
    assert row.token_hash == hashed(token)


@pytest.mark.parametrize("value", [b"Bearer", b"Bearer ", b"Bearer hw_wrong", "Bearer \u00e9".encode(), b"Basic YTpi"])
def test_a_wrong_token_is_answered_401(client: TestClient, value: bytes) -> None:
    assert client.get("/api/repos", headers={b"authorization": value}).status_code == 401


def test_an_expired_token_does_not_work(site: Site, program: TestClient) -> None:
    with transaction(site.engine) as session:
        session.execute(update(ApiToken).values(expires_ms=1))
    assert program.get("/api/repos").status_code == 401


@pytest.mark.slow
def test_a_password_can_be_set_and_used(site: Site, browser: TestClient) -> None:
    assert browser.post("/account/password", data={"password": "short"}).status_code == 422
    assert browser.post("/account/password", data={"password": PASSWORD}).status_code == 200
    browser.cookies.clear()
    assert login(browser) == 303


def test_a_token_is_shown_once_and_can_be_revoked(site: Site, browser: TestClient) -> None:
    page = browser.post("/account/tokens", data={"name": "<b>deploy</b>"}).text
    found = re.search(r"hw_[A-Za-z0-9_-]{43}", page)
    assert found
    assert found[0] not in browser.get("/account").text
    assert "&lt;b&gt;deploy" in page
    with reading(site.engine) as session:
        (row,) = session.query(ApiToken).all()
    assert browser.post(f"/account/tokens/{row.id}/delete").status_code == 303
    assert browser.post(f"/account/tokens/{row.id}/delete").status_code == 404


@pytest.mark.parametrize("path", ["/login", "/healthz", "/static/js/log.js", "/nope", "/api/repos", "/hooks/x"])
def test_every_response_has_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"] == PAGE_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "unsafe" not in headers["content-security-policy"]


@pytest.mark.slow
def test_a_password_hash_matches_only_its_password() -> None:
    password_hash = hash_password(PASSWORD)
    assert password_fits(PASSWORD, password_hash)
    assert not password_fits(PASSWORD + "x", password_hash)
    assert not password_fits(PASSWORD, None)


def test_the_account_page_shows_the_user_of_the_token(site: Site, client: TestClient) -> None:
    site.add_user("ada")
    bea = site.add_user("bea", is_admin=False)
    client.headers["authorization"] = f"Bearer {site.token(bea)}"
    page = client.get("/account").text
    assert "bea" in page
    assert "administrator" not in page
    with reading(site.engine) as session:
        assert [user.name for user in store.users(session)] == ["ada", "bea"]
