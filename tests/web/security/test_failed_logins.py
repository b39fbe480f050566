"""Failed logins are in the audit log, and no number of them fills it."""

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import Site
from tests.web.security.test_people import audited
from web.security.failed_logins import OTHERS, PAIRS_MAX, WINDOW_S, FailedLogins, Failures

SAME_SITE = {"sec-fetch-site": "same-origin"}
FORM = {"name": "ada", "password": "wrong"}


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_failed_login_is_in_the_audit_log_with_its_name_and_address(site: Site, client: TestClient) -> None:
    site.add_user("ada", password="a good password")
    for _ in range(3):
        assert client.post("/login", data=FORM, headers=SAME_SITE).status_code == 403
    assert audited(site, "login.failed") == [("", "testclient", "ada", "a wrong name or password")]
    assert client.post("/login", data={**FORM, "password": "a good password"}, headers=SAME_SITE).status_code == 303
    assert [row[0] for row in audited(site, "user.login")] == ["ada"]


def test_more_of_a_name_and_address_are_one_entry_when_their_window_has_ended(clock: Clock) -> None:
    failed = FailedLogins(clock)
    assert failed.failed("ada", "10.0.0.1") == [Failures("ada", "10.0.0.1", 1)]
    assert failed.failed("ada", "10.0.0.1") == failed.failed("ada", "10.0.0.1") == []
    assert failed.failed("bob", "10.0.0.1") == [Failures("bob", "10.0.0.1", 1)]
    assert failed.failed("ada", "10.0.0.2") == [Failures("ada", "10.0.0.2", 1)]
    clock.now_s = WINDOW_S - 0.1
    assert failed.due() == []
    clock.now_s = WINDOW_S
    assert failed.due() == [Failures("ada", "10.0.0.1", 2)]
    assert failed.due() == []
    assert failed.failed("ada", "10.0.0.1") == [Failures("ada", "10.0.0.1", 1)]


def test_a_flood_of_names_and_addresses_has_a_bounded_number_of_entries(clock: Clock) -> None:
    failed = FailedLogins(clock)
    entries = [entry for number in range(10_000) for entry in failed.failed(f"user{number}", f"10.0.0.{number % 250}")]
    assert len(entries) == PAIRS_MAX
    clock.now_s = WINDOW_S
    assert failed.due() == [Failures(OTHERS, "?", 10_000 - PAIRS_MAX)]


def test_a_long_name_is_cut() -> None:
    (entry,) = FailedLogins().failed("x" * 1_000, "10.0.0.1")
    assert entry.name == "x" * 100
