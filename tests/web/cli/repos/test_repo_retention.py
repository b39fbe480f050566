"""`headway repo retention`: shows what a repository keeps, and sets some of it."""

from tests.web.cli.command import URL, Headway


def test_what_is_not_given_stays(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    command = ("repo", "retention", "acme/harbour")
    assert headway.ok(*command) == "acme/harbour keeps what the server sets.\n"
    assert headway.ok(*command, "--run-days", "30") == "acme/harbour keeps runs for 30 days.\n"
    both = "acme/harbour keeps logs for 7 days, runs for 30 days.\n"
    assert headway.ok(*command, "--log-days", "7") == both
    assert headway.ok(*command) == both, "without an option it changes nothing"
    assert headway.ok(*command, "--reset", "--log-days", "8") == "acme/harbour keeps logs for 8 days.\n"
    assert headway.ok(*command, "--reset") == "acme/harbour keeps what the server sets.\n"


def test_more_than_the_server_keeps_is_refused(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    said = headway.refused("repo", "retention", "acme/harbour", "--run-days", "366")
    assert "The days of runs cannot be 366: give 1 to 365, as the server keeps no more" in said
