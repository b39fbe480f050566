"""`headway repo add --replace`, `repo show` and `repo rename`."""

import pytest

from tests.web.cli.command import URL, Headway
from tests.web.cli.repos.test_repo_url import stored

REPO = "acme/harbour"
ELSEWHERE = [
    "https://evil.test/acme/harbour.git",
    "https://github.com.evil.test/acme/harbour.git",
    "https://github.com:8443/acme/harbour.git",
    "http://github.com/acme/harbour.git",
    "https://github.com@evil.test/acme/harbour.git",
    "git@evil.test:acme/harbour.git",
    "/srv/harbour.git",
]


@pytest.fixture
def full(headway: Headway) -> Headway:
    """A repository of which everything is set."""
    named = (
        "--branch",
        "next",
        "--private",
        "--push-repo",
        "r.test/harbour",
        "--web-url",
        "https://github.com/acme/harbour",
    )
    headway.ok("repo", "add", URL, *named)
    headway.ok("repo", "login", REPO, "-u", "bot", stdin="pass-word")
    headway.ok("repo", "token", REPO, stdin="tok-1")
    headway.ok("repo", "trust", REPO, "--network")
    return headway


def sealed(headway: Headway) -> tuple[str, str, str]:
    repo = stored(headway)
    return repo.hook_secret_sealed, repo.clone_password_sealed, repo.forge_token_sealed


def shown(headway: Headway) -> dict[str, str]:
    return dict(line.split("\t") for line in headway.ok("repo", "show", REPO).splitlines())


def test_it_changes_what_is_named_and_nothing_else_and_says_what(full: Headway) -> None:
    before, secrets = shown(full), sealed(full)
    assert "Changed    nothing\n" in full.ok("repo", "add", URL, "--name", REPO, "--replace")
    assert (shown(full), sealed(full)) == (before, secrets)
    printed = full.ok("repo", "add", URL, "--name", REPO, "--replace", "--branch", "main", "--public")
    assert "Changed    default branch: next -> main, private: yes -> no\n" in printed
    assert "Secret     as before" in printed
    assert (shown(full), sealed(full)) == (before | {"default branch": "main", "private": "no"}, secrets)
    new = "https://github.com/acme/pier.git"
    full.ok("repo", "add", new, "--name", REPO, "--replace")
    assert sealed(full) == secrets, "it is on the same host"
    assert shown(full)["clone address"] == new
    assert "push repo: r.test/harbour -> none" in full.ok(
        "repo", "add", new, "--name", REPO, "--replace", "--push-repo", ""
    )


@pytest.mark.parametrize("url", ELSEWHERE)
@pytest.mark.parametrize("command", ["add", "url"])
def test_no_login_goes_to_another_host(full: Headway, url: str, command: str) -> None:
    hook, *_ = sealed(full)
    arguments = {"add": ("add", url, "--name", REPO, "--replace", "--forge", "generic"), "url": ("url", REPO, url)}
    printed = full.ok("repo", *arguments[command])
    assert "Its logins were for another host and are forgotten" in printed
    assert sealed(full) == (hook, "", "")
    assert (stored(full).clone_username, stored(full).forge_api_url) == ("", "")
    full.ok("repo", "url", REPO, URL)
    assert sealed(full) == (hook, "", ""), "what is forgotten does not come back"


def test_another_page_takes_the_forges_token_with_it(full: Headway) -> None:
    full.ok("repo", "add", URL, "--name", REPO, "--replace", "--web-url", "https://evil.test/acme/harbour")
    assert sealed(full)[1:] == ("", "")


def test_the_webhooks_secret_is_made_anew_only_where_that_is_asked(full: Headway, tmp_path) -> None:  # type: ignore[no-untyped-def]
    hook, *_ = sealed(full)
    printed = full.ok("repo", "add", URL, "--name", REPO, "--replace", "--new-secret")
    assert "(shown this one time)" in printed
    assert sealed(full)[0] != hook
    assert "--new-secret goes with --replace" in full.refused("repo", "add", URL, "--new-secret")
    full.ok("repo", "add", "/srv/x.git", "--name", "x")
    for name in ("one", "two"):
        full.ok("repo", "add", "/srv/x.git", "--name", "x", "--replace", "--hook-file", str(tmp_path / name))
    assert (tmp_path / "one").read_text() == (tmp_path / "two").read_text()


def test_with_replace_a_repository_that_is_not_there_is_added(headway: Headway) -> None:
    assert "(shown this one time)" in headway.ok("repo", "add", URL, "--replace")


@pytest.mark.parametrize("url", ["https://github.com:port/a", "https://[::1/a", "https://h:99999/a", "https://h:0/a"])
def test_an_address_whose_host_cannot_be_read_is_refused(full: Headway, url: str) -> None:
    assert "no address to clone from" in full.refused("repo", "url", REPO, url)
    full.refused("repo", "add", url, "--name", "x")


def test_show_tells_all_settings_and_no_secret(full: Headway) -> None:
    found = shown(full)
    assert (found["clone login"], found["webhook secret"], found["trust"]) == ("as bot", "set", "network")
    assert found["forge token"] == f"{REPO} https://github.com"
    whole = full.ok("repo", "show", REPO)
    assert not any(secret in whole for secret in ("pass-word", "tok-1", *sealed(full)))
    assert "no repository named nobody" in full.refused("repo", "show", "nobody")


def test_a_renamed_repository_keeps_all_and_answers_to_its_former_names(full: Headway) -> None:
    secrets = sealed(full)
    assert f"{REPO} is acme/pier now. Its webhook is http://localhost:8080/hooks/acme/pier" in full.ok(
        "repo", "rename", REPO, "acme/pier"
    )
    assert sealed(full) == secrets
    found = shown(full)
    assert (found["name"], found["former names"]) == ("acme/pier", REPO)
    full.ok("repo", "rename", REPO, "acme/quay")
    assert shown(full)["former names"] == f"{REPO}, acme/pier"
    full.ok("repo", "rename", "acme/quay", REPO)
    assert shown(full)["former names"] == "acme/pier, acme/quay"
    full.ok("repo", "remove", "acme/pier", "--yes")
    assert full.ok("repo", "list") == ""


@pytest.mark.parametrize(
    ("name", "said"), [("other", "already a repository named other"), ("a b", "cannot be a"), ("a/runs/b", "reserved"),
                       (REPO, "already a repository named acme/harbour")]
)  # fmt: skip
def test_a_name_that_cannot_be_had_is_refused(full: Headway, name: str, said: str) -> None:
    full.ok("repo", "add", "/srv/x.git", "--name", "other")
    assert said in full.refused("repo", "rename", REPO, name)
    assert shown(full)["former names"] == "none"


def test_a_former_name_may_be_taken_and_then_leads_to_the_new_repository(full: Headway) -> None:
    full.ok("repo", "rename", REPO, "acme/pier")
    full.ok("repo", "add", "/srv/x.git", "--name", REPO)
    assert shown(full)["clone address"] == "file:///srv/x.git"
    full.ok("repo", "rename", REPO, "acme/quay")
    full.ok("repo", "rename", "acme/pier", "acme/jetty")
    printed = full.ok("repo", "rename", "acme/quay", "acme/pier")
    assert "acme/pier was a former name of acme/jetty" in printed
    assert "a former name of" in full.ok("audit") or REPO in full.ok("audit")


def test_tokens_are_listed_for_all_users_and_revoked_by_name_or_id(headway: Headway) -> None:
    for user in ("ada", "bob"):
        headway.ok("user", "add", user)
        headway.ok("token", "create", user, "ci", "--scope", "run")
    headway.ok("token", "create", "ada", "ci")
    rows = [line.split("\t")[:3] for line in headway.ok("token", "list").splitlines()]
    assert [(user, name) for user, _, name in rows] == [("ada", "ci"), ("ada", "ci"), ("bob", "ci")]
    assert f"ada has 2 tokens named ci: name one by its id ({rows[0][1]}, {rows[1][1]})" in headway.refused(
        "token", "revoke", "ada", "ci"
    )
    headway.ok("token", "revoke", "ada", rows[0][1])
    headway.ok("token", "revoke", "ada", "ci")
    assert "ada has no token ci" in headway.refused("token", "revoke", "ada", "ci")
    assert "ada has no token " in headway.refused("token", "revoke", "ada", rows[2][1]), "that is another user's"
    headway.ok("token", "revoke", "bob", "ci")
    assert headway.ok("token", "list") == ""


def test_a_secret_without_an_event_does_as_its_help_says(full: Headway) -> None:
    full.ok("secret", "set", REPO, "KEY", stdin="hunter2")
    assert full.ok("secret", "list", REPO) == "key\tpush, tag, release, deployment, cron, manual\n"
    full.ok("secret", "set", REPO, "key", "--event", "tag", stdin="hunter2")
    full.ok("secret", "set", REPO, "key", stdin="hunter3")
    assert full.ok("secret", "list", REPO) == "key\ttag\n"
