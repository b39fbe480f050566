"""`headway user`, `token`, `session`, `audit`, and roles of `headway repo`."""

import re

import pytest

from tests.web.cli.command import URL, Headway

pytestmark = pytest.mark.slow

REPO = "acme/harbour"


def test_users_get_links_and_tokens(headway: Headway) -> None:
    link = headway.ok("user", "add", "ada", "--admin").strip()
    assert link.startswith("http://localhost:8080/login?link=")
    other = headway.ok("user", "link", "ada").strip()
    assert other.startswith("http://localhost:8080/login?link=")
    assert link != other
    assert headway.ok("user", "list") == "ada\tadministrator\n"
    assert headway.ok("token", "create", "ada", "deploy", "--days", "1").startswith("hw_")
    assert "already" in headway.refused("user", "add", "ada")
    assert "no user named bob" in headway.refused("user", "link", "bob")
    assert "no user named bob" in headway.refused("token", "create", "bob", "x")


def test_a_users_name_has_limits(headway: Headway) -> None:
    headway.ok("user", "add", "a" * 100)
    for name in ("a" * 101, "a/b", "a b", ".a", ""):
        assert "A user's name consists of" in headway.refused("user", "add", "--", name)


def test_users_are_disabled_enabled_and_removed(headway: Headway) -> None:
    headway.ok("user", "add", "ada", "--admin")
    headway.ok("user", "add", "bob")
    headway.ok("user", "disable", "bob")
    assert headway.ok("user", "list") == "ada\tadministrator\nbob\tuser\tdisabled\n"
    assert "headway user enable bob" in headway.refused("user", "link", "bob")
    headway.ok("user", "enable", "bob")
    assert headway.ok("user", "list") == "ada\tadministrator\nbob\tuser\n"
    for what in (("disable", "ada"), ("remove", "ada", "--yes")):
        assert "last administrator" in headway.refused("user", *what)
    assert headway("user", "remove", "bob", stdin="n\n").exit_code == 1
    headway.ok("user", "remove", "bob", "--yes")
    assert headway.ok("user", "list") == "ada\tadministrator\n"


def test_a_user_becomes_an_administrator_and_an_ordinary_user_again(headway: Headway) -> None:
    headway.ok("user", "add", "ada", "--admin")
    headway.ok("user", "add", "bob")
    headway.ok("user", "admin", "bob")
    headway.ok("user", "admin", "ada", "--revoke")
    assert headway.ok("user", "list") == "ada\tuser\nbob\tadministrator\n"
    refused = headway.refused("user", "admin", "bob", "--revoke")
    assert "last administrator" in refused
    assert "headway user admin NAME" in refused
    headway.ok("user", "admin", "bob")
    assert "no user named eve" in headway.refused("user", "admin", "eve")
    changes = [line.split("\t")[3:] for line in headway.ok("audit").splitlines() if "user.admin" in line]
    assert changes == [["user.admin", "ada", "an ordinary user"], ["user.admin", "bob", "an administrator"]]


def test_roles_are_given_and_taken(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    headway.ok("user", "add", "bob")
    headway.ok("user", "role", "bob", REPO, "write")
    assert headway.ok("repo", "roles", REPO) == "bob\twrite\n"
    assert headway.ok("user", "list") == f"bob\tuser\t{REPO} write\n"
    headway.ok("user", "role", "bob", REPO, "none")
    assert headway.ok("repo", "roles", REPO) == ""
    assert "no role on" in headway.refused("user", "role", "bob", REPO, "none")
    assert "use read, write, admin or none" in headway.refused("user", "role", "bob", REPO, "owner")
    assert "no user named eve" in headway.refused("user", "role", "eve", REPO, "read")
    assert "no repository named none" in headway.refused("user", "role", "bob", "none", "read")
    headway.ok("repo", "visibility", REPO, "everyone")
    headway.ok("repo", "visibility", REPO, "members")


def test_tokens_are_listed_and_revoked(headway: Headway) -> None:
    headway.ok("user", "add", "ada")
    headway.ok("token", "create", "ada", "deploy")
    headway.ok("token", "create", "ada", "watch", "--scope", "read", "--days", "7")
    first, second = headway.ok("token", "list", "ada").splitlines()
    assert first == "1\tdeploy\tadmin\tnever used\tnever expires"
    assert re.fullmatch(r"2\twatch\tread\tnever used\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", second)
    headway.ok("token", "revoke", "ada", "1")
    assert headway.ok("token", "list", "ada") == f"{second}\n"
    assert "ada has no token 1" in headway.refused("token", "revoke", "ada", "1")
    assert "1 to 3,650 days" in headway.refused("token", "create", "ada", "long", "--days", "3651")


def test_a_forgotten_password_ends_the_sessions(headway: Headway) -> None:
    headway.ok("user", "add", "ada")
    assert headway.ok("user", "link", "ada", "--forget-password").startswith("http")
    assert headway.ok("session", "list", "ada") == ""
    assert headway.ok("session", "end", "ada") == "0 sessions ended\n"
    assert "ada has no session 9" in headway.refused("session", "end", "ada", "9")
    assert "no user named bob" in headway.refused("session", "list", "bob")


SECRETS = {
    "secret": "hunter2-secret",
    "password": "hunter2-password",
    "token": "hunter2-token",
    "input": "hunter2-input",
}
CHANGES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("repo.add", "none -> https://github.com/acme/harbour.git", ("repo", "add", URL), ""),
    ("repo.change", "-> file:///", ("repo", "add", "/srv/x.git", "--name", REPO, "--replace"), ""),
    ("repo.change", "forge: generic -> github", ("repo", "add", URL, "--replace"), ""),
    ("repo.change", "the same settings\n", ("repo", "add", URL, "--replace"), ""),
    (
        "repo.change",
        "the same settings, and a new webhook secret",
        ("repo", "add", URL, "--replace", "--new-secret"),
        "",
    ),
    ("repo.rename", "acme/harbour -> acme/pier", ("repo", "rename", REPO, "acme/pier"), ""),
    ("repo.rename", "acme/pier -> acme/harbour", ("repo", "rename", "acme/pier", REPO), ""),
    ("repo.change", "default branch: main -> next", ("repo", "add", URL, "--replace", "--branch", "next"), ""),
    ("repo.change", "private: no -> yes", ("repo", "add", URL, "--replace", "--branch", "next", "--private"), ""),
    ("repo.hook", "", ("repo", "hook", REPO), ""),
    ("repo.login", "none -> bot", ("repo", "login", REPO, "-u", "bot"), SECRETS["password"]),
    ("repo.token", "", ("repo", "token", REPO), SECRETS["token"]),
    ("repo.token", "no token", ("repo", "token", REPO, "--forget"), ""),
    ("repo.trust", "none -> network", ("repo", "trust", REPO, "--network"), ""),
    ("repo.trust", "network -> volumes, security", ("repo", "trust", REPO, "--volumes", "--security"), ""),
    ("repo.newest-wins", "pull_request -> push", ("repo", "newest-wins", REPO, "--push"), ""),
    ("repo.visibility", "no -> yes", ("repo", "visibility", REPO, "everyone"), ""),
    ("secret.set", "", ("secret", "set", REPO, "KEY"), SECRETS["secret"]),
    ("secret.remove", "", ("secret", "remove", REPO, "KEY"), ""),
    ("cron.set", "none -> @daily", ("cron", "add", REPO, "nightly", "@daily"), ""),
    (
        "cron.set",
        "default branch on with inputs that an administrator set, inputs: added WHERE",
        ("cron", "add", REPO, "nightly", "@daily", "-i", f"WHERE={SECRETS['input']}"),
        "",
    ),
    (
        "cron.set",
        "inputs: added HOW; changed WHERE",
        ("cron", "add", REPO, "nightly", "@daily", "-i", "WHERE=there", "-i", "HOW=now"),
        "",
    ),
    ("cron.set", "inputs: removed HOW, WHERE", ("cron", "add", REPO, "nightly", "@daily"), ""),
    ("cron.set", "on -> @daily UTC default branch off", ("cron", "off", REPO, "nightly"), ""),
    ("cron.set", "off -> @daily UTC default branch on", ("cron", "on", REPO, "nightly"), ""),
    ("run.start", "cron nightly", ("cron", "run", REPO, "nightly"), ""),
    ("cron.remove", "@daily", ("cron", "remove", REPO, "nightly"), ""),
    ("run.start", "manual refs/heads/next", ("trigger", REPO), ""),
    ("registry.login", "as bot", ("registry", "login", "r.test", "-u", "bot"), SECRETS["password"]),
    ("registry.logout", "", ("registry", "logout", "r.test"), ""),
    ("user.add", "", ("user", "add", "bob"), ""),
    ("user.link", "", ("user", "link", "bob"), ""),
    ("token.create", "scope read", ("token", "create", "bob", "ci", "--scope", "read"), ""),
    ("token.revoke", "", ("token", "revoke", "bob", "1"), ""),
    ("session.end", "0 sessions", ("session", "end", "bob"), ""),
    ("role.set", "none -> read", ("user", "role", "bob", REPO, "read"), ""),
    ("role.remove", "read -> none", ("user", "role", "bob", REPO, "none"), ""),
    ("user.disable", "", ("user", "disable", "bob"), ""),
    ("user.enable", "", ("user", "enable", "bob"), ""),
    ("user.remove", "", ("user", "remove", "bob", "--yes"), ""),
    ("repo.remove", "with 2 runs", ("repo", "remove", REPO, "--yes"), ""),
)


def test_every_change_is_in_the_audit_log_without_secrets(headway: Headway) -> None:
    for action, detail, command, stdin in CHANGES:
        headway.ok(*command, stdin=stdin)
        newest = headway.ok("audit", "-n", "1")
        assert f"\tcommand line\t{action}\t" in newest, command
        assert detail in newest, (command, newest)
    whole = headway.ok("audit")
    assert len(whole.splitlines()) == len(CHANGES)
    assert not any(secret in whole for secret in SECRETS.values())
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\t", whole)


@pytest.mark.parametrize("command", [("user", "list"), ("token", "list", "ada"), ("repo", "list"), ("audit",)])
def test_looking_changes_nothing(headway: Headway, command: tuple[str, ...]) -> None:
    headway.ok("user", "add", "ada")
    before = headway.ok("audit")
    headway.ok(*command)
    assert headway.ok("audit") == before
