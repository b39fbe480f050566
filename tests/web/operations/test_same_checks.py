"""An operation is checked the same, whether the request comes from the API, a page or the command line."""

import re
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.web.cli.command import URL, Headway
from tests.web.conftest import REPO, Site
from web.operations.accounts.tokens_and_sessions import TOKEN_NAME_CHARS_MAX
from web.operations.accounts.users import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from workers.access.secret_limits import SECRET_BYTES_MAX, SECRETS_BYTES_MAX, SECRETS_MAX

pytestmark = pytest.mark.slow


@pytest.fixture
def headway(tmp_path: Path) -> Headway:
    headway = Headway(tmp_path / "command")
    headway.ok("db", "upgrade")
    headway.ok("repo", "add", URL)
    headway.ok("user", "add", "ada")
    return headway


def alert(page: str) -> str:
    """The error that a page shows."""
    found = re.search(r'role="alert">(.*?)</p>', page)
    return unescape(found[1]) if found else ""


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("a b", "x", "A secret's name consists of up to 100 letters, digits and _ . - and begins with a letter or _."),
        ("a" * 101, "x", "A secret's name consists of up to 100 letters"),
        ("key", "", "The secret has no value."),
        ("key", "é" * 32_768 + "x", "The secret 'key' has 65,537 bytes"),
        ("key", "x" * 65_537, "The secret 'key' has 65,537 bytes; the limit is 65,536; "),
    ],
    ids=["name", "long name", "empty", "long in bytes", "long value"],
)
def test_a_secret_that_cannot_be_used_is_refused_with_the_same_sentence(
    site: Site, browser: TestClient, headway: Headway, name: str, value: str, sentence: str
) -> None:
    site.add_repo()
    answer = browser.put(f"/api/repos/{REPO}/secrets/{name}", json={"value": value})
    page = browser.post(f"/repos/{REPO}/settings/secrets", data={"secret": name, "value": value})
    assert (answer.status_code, page.status_code) == (422, 422)
    assert answer.json()["error"].startswith(sentence)
    assert alert(page.text) == answer.json()["error"]
    assert headway.refused("secret", "set", REPO, name, stdin=value) == f"headway: {answer.json()['error']}\n"


def test_a_secret_at_the_limits_is_accepted_everywhere(site: Site, browser: TestClient, headway: Headway) -> None:
    site.add_repo()
    name, value = "a" * 100, "é" * (SECRET_BYTES_MAX // 2)
    assert browser.put(f"/api/repos/{REPO}/secrets/{name}", json={"value": value}).status_code == 204
    form = {"secret": name, "value": value}
    assert browser.post(f"/repos/{REPO}/settings/secrets", data=form).status_code == 303
    assert headway.ok("secret", "set", REPO, name, stdin=value) == ""


def test_a_repository_has_a_limited_number_of_secrets(site: Site, browser: TestClient) -> None:
    site.add_repo()
    for number in range(SECRETS_MAX):
        assert _put(browser, f"key{number}", "xxxx") == ""
    assert _put(browser, "KEY7", "yyyy") == "", "replacing one is no further one"
    assert _put(browser, "more", "xxxx").startswith("The repository has 101 secrets; the limit is 100; remove")
    assert browser.delete(f"/api/repos/{REPO}/secrets/key7").status_code == 204
    assert _put(browser, "more", "xxxx") == ""


def test_a_repositorys_secrets_have_a_limited_size_together(site: Site, browser: TestClient) -> None:
    site.add_repo()
    for number in range(SECRETS_BYTES_MAX // SECRET_BYTES_MAX):
        assert _put(browser, f"key{number}", "x" * SECRET_BYTES_MAX) == ""
    said = _put(browser, "more", "xxxx")
    assert said.startswith("The repository's secrets have 1,048,580 bytes together; the limit is 1,048,576; remove")
    assert _put(browser, "key3", "xxxx") == ""
    assert _put(browser, "more", "x" * (SECRET_BYTES_MAX - 3)).startswith(
        "The repository's secrets have 1,048,577 bytes"
    )
    assert _put(browser, "more", "x" * (SECRET_BYTES_MAX - 4)) == ""


def test_a_secret_that_is_no_text_is_refused(site: Site, browser: TestClient) -> None:
    site.add_repo()
    body = b'{"value": "\\ud800"}'
    answer = browser.put(f"/api/repos/{REPO}/secrets/key", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, "UTF-8" in answer.json()["error"]) == (422, True)


def _put(browser: TestClient, name: str, value: str) -> str:
    """Sets a secret through the API. The error, if it is refused."""
    answer = browser.put(f"/api/repos/{REPO}/secrets/{name}", json={"value": value})
    return "" if answer.status_code == 204 else str(answer.json()["error"])


@pytest.mark.parametrize(
    ("name", "expression", "zone", "inputs"),
    [
        ("nightly", "often", "UTC", {}),
        ("nightly", "@daily", "Moon", {}),
        ("nightly", "@daily", "UTC", {"CI_X": "1"}),
        ("-x-", "@daily", "UTC", {}),
    ],
)
def test_a_cron_that_cannot_be_used_is_refused_with_the_same_sentence(
    site: Site, browser: TestClient, headway: Headway, name: str, expression: str, zone: str, inputs: dict[str, str]
) -> None:
    site.add_repo()
    body = {"expression": expression, "zone": zone, "inputs": inputs}
    lines = [f"{key}={value}" for key, value in inputs.items()]
    form = {"cron": name, "expression": expression, "zone": zone, "inputs": "\n".join(lines)}
    options = ["--zone", zone, *(word for line in lines for word in ("--input", line))]
    answer = browser.put(f"/api/repos/{REPO}/crons/{name}", json=body)
    page = browser.post(f"/repos/{REPO}/crons", data=form)
    assert (answer.status_code, page.status_code) == (422, 422)
    assert alert(page.text) == answer.json()["error"]
    printed = headway.refused("cron", "add", *options, "--", REPO, name, expression)
    assert printed == f"headway: {answer.json()['error']}\n"


def test_what_is_not_there_is_missing_with_the_same_sentence(browser: TestClient, headway: Headway) -> None:
    for method, path, command in (
        ("GET", "/api/repos/none/secrets", ("secret", "list", "none")),
        ("DELETE", "/api/repos/none/secrets/key", ("secret", "remove", "none", "key")),
        ("GET", "/api/repos/none/crons", ("cron", "list", "none")),
        ("POST", "/api/repos/none/crons/x/run", ("cron", "run", "none", "x")),
    ):
        answer = browser.request(method, path)
        assert answer.status_code == 404
        assert headway.refused(*command) == f"headway: {answer.json()['error']}\n"


def test_a_tokens_name_has_a_limit_everywhere(browser: TestClient, headway: Headway) -> None:
    for name in ("", "x" * (TOKEN_NAME_CHARS_MAX + 1)):
        page = browser.post("/account/tokens", data={"name": name})
        assert page.status_code == 422
        assert alert(page.text).startswith("A token's name has 1 to 100 characters")
        assert headway.refused("token", "create", "ada", name) == f"headway: {alert(page.text)}\n"
    longest = "x" * TOKEN_NAME_CHARS_MAX
    assert browser.post("/account/tokens", data={"name": longest}).status_code == 200
    assert headway.ok("token", "create", "ada", longest).startswith("hw_")


@pytest.mark.parametrize(
    ("length", "status"),
    [
        (PASSWORD_CHARS_MIN - 1, 422),
        (PASSWORD_CHARS_MIN, 200),
        (PASSWORD_CHARS_MAX, 200),
        (PASSWORD_CHARS_MAX + 1, 422),
    ],
)
def test_a_password_has_a_shortest_and_a_longest_length(browser: TestClient, length: int, status: int) -> None:
    page = browser.post("/account/password", data={"password": "x" * length})
    assert page.status_code == status
    assert bool(alert(page.text)) is (status == 422)
