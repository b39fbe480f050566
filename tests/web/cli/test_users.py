"""`headway user` and `headway token`."""

from tests.web.cli.command import Headway


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
