"""Logging in at its limits: lengths, times, how often, and what a browser is told to forget."""

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from tests.web.conftest import PASSWORD, REPO, Site
from web.security.login_limiter import LoginLimiter
from web.server.app import create_app
from web.services import Services
from workers.db.models import ApiToken, LoginSession
from workers.db.session import db_now_ms, reading, transaction

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 24 * 3_600_000
SAME_SITE = {"sec-fetch-site": "same-origin"}


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def limiter(clock: Clock, **limits: int) -> LoginLimiter:
    return LoginLimiter(clock=clock, **limits)


def fail(limiter: LoginLimiter, source: str, times: int) -> None:
    for _ in range(times):
        limiter.failed(source)


def test_the_tenth_failed_login_within_five_minutes_blocks() -> None:
    logins = limiter(Clock())
    fail(logins, "a", 9)
    assert not logins.blocked("a")
    fail(logins, "a", 1)
    assert logins.blocked("a")
    assert not logins.blocked("b")
    fail(logins, "a", 10)
    logins.succeeded("a")
    assert not logins.blocked("a")


def test_a_failed_login_counts_for_less_than_five_minutes() -> None:
    clock = Clock()
    logins = limiter(clock)
    fail(logins, "a", 1)
    clock.now_s += 1
    fail(logins, "a", 9)
    clock.now_s += 298.9
    assert logins.blocked("a")
    clock.now_s += 0.1
    assert not logins.blocked("a"), "five minutes after the first of the ten"
    fail(logins, "a", 1)
    assert logins.blocked("a")


def test_the_source_seen_first_is_forgotten_when_there_are_too_many() -> None:
    logins = limiter(Clock(), failures_max=1, sources_max=2)
    for source in ("a", "b"):
        fail(logins, source, 1)
    assert logins.blocked("a")
    fail(logins, "b", 1)
    assert logins.blocked("a"), "a known source replaces no other"
    fail(logins, "c", 1)
    assert [logins.blocked(source) for source in "abc"] == [False, True, True]


@pytest.mark.slow
@pytest.mark.parametrize(("length", "status"), [(9, 422), (10, 200), (1000, 200), (1001, 422)])
def test_a_password_has_10_to_1000_characters(browser: TestClient, length: int, status: int) -> None:
    assert browser.post("/account/password", data={"password": "p" * length}).status_code == status


@pytest.mark.parametrize(("length", "status"), [(0, 422), (1, 200), (100, 200), (101, 422)])
def test_the_name_of_a_token_has_1_to_100_characters(browser: TestClient, length: int, status: int) -> None:
    assert browser.post("/account/tokens", data={"name": "n" * length}).status_code == status


def test_logging_out_makes_the_browser_forget_the_cookie(browser: TestClient) -> None:
    forgotten = browser.post("/logout").headers["set-cookie"]
    assert forgotten.startswith('headway="";')
    assert "Max-Age=0" in forgotten
    assert "Path=/;" in forgotten
    assert "Secure" not in forgotten


def test_over_https_logging_out_forgets_the_cookie_of_this_host(site: Site) -> None:
    """A browser takes an order about a ``__Host-`` cookie only with Secure and the path /."""
    site.add_user(password=PASSWORD)
    parts = site.services
    settings = parts.settings.model_copy(update={"base_url": "https://ci.test"})
    app = create_app(
        Services(settings, parts.engine, parts.wake_workers, parts.logs, parts.vault, parts.redis, LoginLimiter())
    )
    with TestClient(app, base_url="https://ci.test", follow_redirects=False, headers=SAME_SITE) as client:
        assert client.post("/login", data={"name": "ada", "password": PASSWORD}).status_code == 303
        forgotten = client.post("/logout").headers["set-cookie"]
    assert forgotten.startswith('__Host-headway="";')
    assert "; Secure" in forgotten
    assert "Path=/;" in forgotten


def test_a_request_that_names_neither_origin_nor_host_is_from_another_site(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.queue()
    del browser.headers["sec-fetch-site"]
    assert browser.post(f"/repos/{REPO}/runs/1/cancel", headers={"host": ""}).status_code in {400, 403}
    assert site.run().state == "queued"


def expires_ms(site: Site) -> int:
    with reading(site.engine) as session:
        return session.query(LoginSession).one().expires_ms


@pytest.mark.slow
@pytest.mark.parametrize(("used_ago_ms", "written"), [(HOUR_MS - MINUTE_MS, False), (HOUR_MS + MINUTE_MS, True)])
def test_a_visit_prolongs_a_session_once_an_hour(
    site: Site, browser: TestClient, used_ago_ms: int, written: bool
) -> None:
    with transaction(site.engine) as session:
        before = db_now_ms(session) + 30 * DAY_MS - used_ago_ms
        session.execute(update(LoginSession).values(expires_ms=before))
    assert browser.get("/account").status_code == 200
    assert (expires_ms(site) > before) is written
    with reading(site.engine) as session:
        assert expires_ms(site) <= db_now_ms(session) + 30 * DAY_MS


@pytest.mark.parametrize(("used_ago_ms", "written"), [(MINUTE_MS - 15_000, False), (MINUTE_MS + 15_000, True)])
def test_the_use_of_a_token_is_noted_once_a_minute(
    site: Site, program: TestClient, used_ago_ms: int, written: bool
) -> None:
    with transaction(site.engine) as session:
        before = db_now_ms(session) - used_ago_ms
        session.execute(update(ApiToken).values(last_used_ms=before))
    assert program.get("/api/repos").status_code == 200
    with reading(site.engine) as session:
        last_used_ms = session.query(ApiToken).one().last_used_ms
    assert last_used_ms is not None
    assert (last_used_ms > before) is written
