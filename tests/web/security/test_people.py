"""People come and go: passwords, sessions and tokens, disabled and removed users, through pages and API."""

import re

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from tests.support.people import OPERATOR
from tests.web.conftest import PASSWORD, REPO, Site
from web.operations import audit
from web.operations.accounts import roles, tokens_and_sessions, users
from web.operations.accounts.tokens_and_sessions import TOKEN_DAYS_MAX, TOKENS_MAX
from web.operations.errors import ConflictError
from workers import store
from workers.db.models import AuditEntry, LoginSession
from workers.db.roles import Role, Scope
from workers.db.session import reading, transaction

pytestmark = pytest.mark.slow

SAME_SITE = {"sec-fetch-site": "same-origin"}
NEW = "cold lights at dawn"


def audited(site: Site, action: str) -> list[tuple[str, str, str, str]]:
    with reading(site.engine) as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)).all()
    return [(row.actor, row.source, row.target, row.detail) for row in rows]


def other_browser(site: Site, client: TestClient, name: str = "ada", agent: str = "") -> str:
    """Logs the user in with a link in another browser; its cookie."""
    link = users.make_login_link(site.services, OPERATOR, name).rpartition("=")[2]
    kept = dict(client.cookies)
    client.cookies.clear()
    client.post("/login", data={"link": link}, headers={**SAME_SITE, "user-agent": agent or "tests"})
    cookie = client.cookies["headway"]
    client.cookies.clear()
    client.cookies.update(kept)
    return str(cookie)


def works(client: TestClient, cookie: str) -> bool:
    kept = dict(client.cookies)
    client.cookies.clear()
    answer = client.get("/api/account", headers={"cookie": f"headway={cookie}"})
    client.cookies.update(kept)
    return answer.status_code == 200


def set_password(client: TestClient, new: str, old: str = "") -> tuple[int, str]:
    answer = client.post("/account/password", data={"password": new, "old": old})
    return answer.status_code, answer.text


def test_changing_a_password_asks_for_the_old_one_and_ends_the_other_sessions(site: Site, browser: TestClient) -> None:
    other, third = (other_browser(site, browser) for _ in range(2))
    link = users.make_login_link(site.services, OPERATOR, "ada").rpartition("=")[2]
    status, page = set_password(browser, PASSWORD)
    assert status == 200
    assert "Your 2 other sessions were ended. API tokens still work." in page
    assert not works(browser, other)
    assert not works(browser, third)
    assert works(browser, browser.cookies["headway"])
    assert browser.post("/login", data={"link": link}).status_code == 403, "an older login link is void"
    for wrong in ("", "wrong", NEW, f"{PASSWORD} ", PASSWORD.upper()):
        status, page = set_password(browser, NEW, wrong)
        assert status == 422
        assert users.WRONG_OLD_PASSWORD in page
    status, page = set_password(browser, NEW, PASSWORD)
    assert status == 200
    assert "You are logged in nowhere else." in page
    other_browser(site, browser)
    assert "Your other session was ended." in set_password(browser, PASSWORD, NEW)[1]
    assert [detail for *_, detail in audited(site, "user.password")] == [
        "2 other sessions ended",
        "0 other sessions ended",
        "1 other sessions ended",
    ]


def test_the_old_password_can_be_guessed_ten_times(site: Site, browser: TestClient) -> None:
    set_password(browser, PASSWORD)
    assert [set_password(browser, NEW, f"wrong {number}")[0] for number in range(10)] == [422] * 10
    status, page = set_password(browser, NEW, PASSWORD)
    assert status == 429
    assert "Wait five minutes" in page


def test_a_program_cannot_set_a_password_nor_make_tokens(site: Site, program: TestClient) -> None:
    answer = program.post("/account/password", data={"password": NEW})
    assert answer.status_code == 403
    assert "in a browser" in answer.text
    assert program.post("/account/tokens", data={"name": "another"}).status_code == 403


def test_who_forgot_the_password_gets_a_link_and_sets_another(site: Site, browser: TestClient) -> None:
    set_password(browser, PASSWORD)
    cookie = browser.cookies["headway"]
    link = users.make_login_link(site.services, OPERATOR, "ada", forget_password=True).rpartition("=")[2]
    assert not works(browser, cookie)
    browser.cookies.clear()
    assert browser.post("/login", data={"name": "ada", "password": PASSWORD}).status_code == 403
    assert browser.post("/login", data={"link": link}).status_code == 303
    assert set_password(browser, NEW)[0] == 200


def test_sessions_are_shown_with_browser_and_address_and_can_be_ended(site: Site, browser: TestClient) -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    other = other_browser(site, browser, agent=firefox)
    page = browser.get("/account").text
    assert "Firefox on Linux" in page
    assert "testclient" in page
    assert "this one" in page
    listed = browser.get("/api/account/sessions").json()
    assert [(row["browser"], row["address"]) for row in listed if row["browser"] == firefox] == [
        (firefox, "testclient")
    ]
    (ends,) = set(re.findall(r"/account/sessions/(\d+)/delete", page))
    assert browser.post(f"/account/sessions/{ends}/delete").status_code == 303
    assert not works(browser, other)
    others = [other_browser(site, browser) for _ in range(2)]
    assert browser.post("/account/sessions/delete").status_code == 303
    assert not any(works(browser, cookie) for cookie in others)
    assert browser.get("/account").status_code == 200


def test_what_a_browser_says_it_is_is_cut_and_escaped(site: Site, browser: TestClient) -> None:
    other_browser(site, browser, agent="<script>alert(1)</script>" + "x" * 400)
    page = browser.get("/account").text
    assert "<script>alert" not in page
    with reading(site.engine) as session:
        assert max(len(row.browser) for row in session.scalars(select(LoginSession))) == 300


def test_a_token_has_a_scope_and_an_end(site: Site, browser: TestClient) -> None:
    page = browser.post("/account/tokens", data={"name": "ci", "scope": "run", "days": "7"}).text
    token = re.search(r"hw_[A-Za-z0-9_-]{43}", page)
    assert token
    (row,) = browser.get("/api/account/tokens").json()
    assert (row["name"], row["scope"], row["last_used_ms"]) == ("ci", "run", None)
    assert row["expires_ms"] - row["created_ms"] == 7 * 86_400_000
    assert token[0] not in str(row)
    browser.cookies.clear()
    headers = {"authorization": f"Bearer {token[0]}"}
    assert browser.get("/api/account", headers=headers).json() == {"name": "ada", "is_admin": True, "scope": "run"}
    assert browser.get("/api/users", headers=headers).status_code == 403
    assert audited(site, "token.create") == [("ada", "testclient", "ada: ci", "scope run, 7 days")]


@pytest.mark.parametrize(("days", "status"), [("0", 422), ("1", 200), (str(TOKEN_DAYS_MAX), 200), ("", 200)])
def test_a_tokens_days_have_limits(browser: TestClient, days: str, status: int) -> None:
    assert browser.post("/account/tokens", data={"name": "ci", "days": days}).status_code == status


def test_a_token_for_too_many_days_is_refused(browser: TestClient) -> None:
    for days in (str(TOKEN_DAYS_MAX + 1), "9" * 30, "-1"):
        assert browser.post("/account/tokens", data={"name": "ci", "days": days}).status_code == 422


def test_a_user_has_at_most_so_many_tokens(site: Site, browser: TestClient) -> None:
    for number in range(TOKENS_MAX):
        tokens_and_sessions.add_token(site.services, OPERATOR, "ada", f"token {number}", Scope.READ, None)
    with pytest.raises(ConflictError, match="the limit"):
        tokens_and_sessions.add_token(site.services, OPERATOR, "ada", "one more", Scope.READ, None)
    page = browser.post("/account/tokens", data={"name": "one more"})
    assert (page.status_code, "Revoke one first" in page.text) == (422, True)


def test_a_disabled_user_is_out_at_once_and_is_told_nothing_more_than_others(site: Site, client: TestClient) -> None:
    site.add_user("ada")
    user_id = site.add_user("bob", is_admin=False, password=PASSWORD)
    token = {"authorization": f"Bearer {site.token(user_id)}"}
    form = {"name": "bob", "password": PASSWORD}
    client.post("/login", data=form, headers=SAME_SITE)
    cookie = client.cookies["headway"]
    link = users.make_login_link(site.services, OPERATOR, "bob").rpartition("=")[2]
    assert works(client, cookie)
    users.disable(site.services, OPERATOR, "bob")
    assert not works(client, cookie)
    client.cookies.clear()
    assert client.get("/api/repos", headers=token).status_code == 401
    wrong = client.post("/login", data={**form, "password": "wrong"}, headers=SAME_SITE)
    right = client.post("/login", data=form, headers=SAME_SITE)
    assert (right.status_code, right.text) == (403, wrong.text)
    assert client.post("/login", data={"link": link}, headers=SAME_SITE).status_code == 403
    with pytest.raises(ConflictError, match="headway user enable bob"):
        users.make_login_link(site.services, OPERATOR, "bob")
    users.enable(site.services, OPERATOR, "bob")
    assert client.get("/api/repos", headers=token).status_code == 200
    assert client.post("/login", data=form, headers=SAME_SITE).status_code == 303


def test_an_administrator_lists_disables_enables_and_removes_users_on_the_page(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.add_user("bob", is_admin=False)
    site.give_role("bob", Role.WRITE)
    page = browser.get("/users").text
    assert re.search(rf'href="/repos/{REPO}">{REPO}</a> <code>write</code>', page)
    assert browser.post("/users/disable", data={"name": "bob"}).status_code == 303
    assert 'aria-label="Remove bob"' in browser.get("/users").text
    assert browser.post("/users/enable", data={"name": "bob"}).status_code == 303
    assert browser.post("/users/remove", data={"name": "bob"}).status_code == 303
    assert "bob" not in browser.get("/users").text
    actions = [entry["action"] for entry in browser.get("/api/audit").json()]
    assert actions[:3] == ["user.remove", "user.enable", "user.disable"]
    assert browser.post("/users/remove", data={"name": "bob"}).status_code == 404


@pytest.mark.parametrize("what", ["disable", "remove"])
def test_the_last_administrator_cannot_go(site: Site, browser: TestClient, what: str) -> None:
    site.add_user("bob", is_admin=False)
    page = browser.post(f"/users/{what}", data={"name": "ada"})
    assert page.status_code == 409
    assert "last administrator" in page.text
    calls = {"disable": ("POST", "/api/users/ada/disable"), "remove": ("DELETE", "/api/users/ada")}
    assert browser.request(*calls[what]).status_code == 409
    site.add_user("eve")
    users.disable(site.services, OPERATOR, "eve")
    assert browser.request(*calls[what]).status_code == 409, "a disabled administrator does not count"
    users.enable(site.services, OPERATOR, "eve")
    assert browser.request(*calls[what]).status_code == 204
    assert browser.get("/account").status_code == 303


def test_roles_are_given_and_taken_on_the_settings_page_and_by_the_api(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.add_user("bob", is_admin=False)
    path = f"/repos/{REPO}/settings"
    assert browser.post(f"{path}/roles", data={"member": "bob", "role": "write"}).status_code == 303
    assert 'aria-label="Remove the role of bob"' in browser.get(path).text
    assert browser.get(f"/api/repos/{REPO}/settings/roles").json() == [{"user": "bob", "role": "write"}]
    assert browser.put(f"/api/repos/{REPO}/settings/roles/bob", json={"role": "admin"}).status_code == 204
    missing = browser.post(f"{path}/roles", data={"member": "nobody", "role": "read"})
    assert (missing.status_code, "no user named nobody" in missing.text) == (422, True)
    assert browser.put(f"/api/repos/{REPO}/settings/roles/bob", json={"role": "owner"}).status_code == 422
    assert browser.post(f"{path}/roles/delete", data={"member": "bob"}).status_code == 303
    assert browser.delete(f"/api/repos/{REPO}/settings/roles/bob").status_code == 404
    assert [(target, detail) for *_, target, detail in audited(site, "role.set")] == [
        (f"{REPO} bob", "none -> write"),
        (f"{REPO} bob", "write -> admin"),
    ]


def test_who_takes_the_own_role_away_does_not_end_on_an_error(site: Site, client: TestClient) -> None:
    site.add_repo()
    client.headers["authorization"] = f"Bearer {site.token(site.add_user('bob', is_admin=False))}"
    site.give_role("bob", Role.ADMIN)
    answer = client.post(f"/repos/{REPO}/settings/roles/delete", data={"member": "bob"})
    assert answer.headers["location"] == "/"
    assert client.get(f"/repos/{REPO}").status_code == 404


def test_a_user_sees_only_repositories_with_a_role_everywhere(site: Site, guest: TestClient) -> None:
    site.add_repo()
    site.add_repo("acme/secret-plans")
    site.give_role("bob", Role.READ)
    for repo in (REPO, "acme/secret-plans"):
        site.queue(repo=repo)
    for path in ("/", "/api/repos", "/api/runs", "/workers", "/api/workers", "/account"):
        assert "secret-plans" not in guest.get(path).text, path
    assert [repo["name"] for repo in guest.get("/api/repos").json()] == [REPO]
    assert [run["repo"] for run in guest.get("/api/runs").json()] == [REPO]
    hidden, missing = (guest.get(f"/api/repos/{name}").json() for name in ("acme/secret-plans", "acme/missing"))
    assert hidden["error"].replace("secret-plans", "missing") == missing["error"]
    roles.set_visible_to_all(site.services, OPERATOR, "acme/secret-plans", visible=True)
    assert "secret-plans" in guest.get("/").text
    assert len(guest.get("/api/runs").json()) == 2


def test_a_page_shows_the_buttons_that_the_role_allows(site: Site, guest: TestClient) -> None:
    site.add_repo()
    site.queue()
    shown = {}
    for role in Role:
        site.give_role("bob", role)
        repo, run = guest.get(f"/repos/{REPO}").text, guest.get(f"/repos/{REPO}/runs/1").text
        shown[role] = ("Start a run" in repo, "/cancel" in run, f"/repos/{REPO}/settings" in repo)
    assert shown == {
        Role.READ: (False, False, False),
        Role.WRITE: (True, True, False),
        Role.ADMIN: (True, True, True),
    }


def test_a_worker_that_serves_one_repository_names_it_to_administrators_alone(site: Site, guest: TestClient) -> None:
    with transaction(site.engine) as session:
        store.record_heartbeat(session, "w", {"repo": "acme/secret-plans", "disk": "ssd"}, 1, 60)
    assert guest.get("/api/workers").json()[0]["labels"] == {"disk": "ssd"}
    admin = {"authorization": f"Bearer {site.token(site.add_user('eve'))}"}
    assert guest.get("/api/workers", headers=admin).json()[0]["labels"]["repo"] == "acme/secret-plans"


def test_the_audit_log_says_who_changed_what_from_where_and_no_secret(site: Site, browser: TestClient) -> None:
    site.add_repo()
    browser.put(f"/api/repos/{REPO}/secrets/Key", json={"value": "hunter2hunter2", "events": ["push"]})
    browser.post(f"/repos/{REPO}/settings/newest-wins", data={"event": ["push"]})
    browser.put(f"/api/repos/{REPO}/crons/nightly", json={"expression": "@daily", "inputs": {"A": "hunter2hunter2"}})
    browser.put(f"/api/repos/{REPO}/settings/visibility", json={"visible_to_all": True})
    assert audited(site, "secret.set") == [("ada", "testclient", f"{REPO} key", "for push")]
    assert audited(site, "repo.newest-wins") == [("ada", "testclient", REPO, "pull_request -> push")]
    cron = "none -> @daily UTC default branch on with inputs that an administrator set, inputs: added A"
    assert audited(site, "cron.set")[0][3] == cron
    assert audited(site, "repo.visibility")[0][3] == "visible to all users: no -> yes"
    assert audited(site, "repo.add") == [("tests", "command line", REPO, f"none -> https://git.test/{REPO}.git")]
    for text in (browser.get("/audit").text, browser.get("/api/audit").text):
        assert "secret.set" in text
        assert "hunter2" not in text


def test_the_audit_page_leads_to_older_entries(site: Site, browser: TestClient) -> None:
    for number in range(101):
        site.add_user(f"user-{number}")
        users.disable(site.services, OPERATOR, f"user-{number}")
    first = browser.get("/audit").text
    older = re.search(r'href="/audit\?before=(\d+)"', first)
    assert older
    second = browser.get(f"/audit?before={older[1]}").text
    assert "user-0<" in second
    assert "user-100<" not in second
    assert 'href="/audit"' in second


def test_a_long_or_odd_text_is_cut_in_the_audit_log(site: Site) -> None:
    longest = "x" * audit.TEXT_CHARS_MAX
    with transaction(site.engine) as session:
        for detail in (longest, f"{longest}x", "a\nb\x1b[2J\0"):
            audit.record(session, OPERATOR, "test", "target", detail)
    found = [detail for *_, detail in audited(site, "test")]
    assert found[0] == longest
    assert (len(found[1]), found[1][-2:]) == (audit.TEXT_CHARS_MAX, "x\N{HORIZONTAL ELLIPSIS}")
    assert found[2] == "a\ufffdb\ufffd[2J\ufffd"
