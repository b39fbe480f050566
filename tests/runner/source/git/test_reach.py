"""Which servers a run's git may ask: every spelling of the worker's own addresses is found."""

import pytest

from runner.source.git.reach import OPEN, Reach

OWN = "http://127.0.0.1:3000/team/app.git"
CLOSED = "the worker's own machine"
NOT_PLAIN = "it is no plain address"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:6379/x", CLOSED),
        ("http://127.0.0.1/x", CLOSED),
        ("https://127.0.0.1:3001/x", CLOSED),
        ("http://localhost:3000/x", CLOSED),
        ("http://LOCALHOST./x", CLOSED),
        ("http://a.localhost/x", CLOSED),
        ("http://2130706433/x", CLOSED),
        ("http://0x7f.1/x", CLOSED),
        ("http://0177.0.0.1/x", CLOSED),
        ("http://127.1/x", CLOSED),
        ("http://0/x", CLOSED),
        ("http://[::1]/x", CLOSED),
        ("http://[::ffff:127.0.0.1]/x", CLOSED),
        ("http://[::ffff:7f00:1]:80/x", CLOSED),
        ("http://[fe80::1]/x", CLOSED),
        ("http://169.254.169.254/latest", CLOSED),
        ("http://metadata.google.internal/x", CLOSED),
        ("https://user:pass@127.0.0.1:5432/x", CLOSED),
        ("ssh://git@127.0.0.1:22/x", CLOSED),
        ("ssh://[::1]/x", CLOSED),
        ("git+ssh://127.0.0.1/x", CLOSED),
        ("git@127.0.0.1:x", CLOSED),
        ("localhost:x", CLOSED),
        ("https://git.example.invalid@localhost/x", CLOSED),
        ("http::http://127.0.0.1/x", NOT_PLAIN),
        ("http::https://git.example.invalid/x", NOT_PLAIN),
        ("ext::sh -c x", NOT_PLAIN),
        ("http:///127.0.0.1/x", NOT_PLAIN),
        ("http://127%2e0.0.1/x", NOT_PLAIN),
        ("http://git.example.invalid\\@127.0.0.1/x", NOT_PLAIN),
        ("http://git.example.invalid#@127.0.0.1/x", NOT_PLAIN),
        ("http://a@b@127.0.0.1/x", NOT_PLAIN),
        ("http://127.0.0.1\n.example.invalid/x", NOT_PLAIN),
        ("http://\uff11\uff12\uff17.0.0.1/x", NOT_PLAIN),
        ("http://[fe80::1%25lo]/x", NOT_PLAIN),
        ("ssh://[127.0.0.1:22]/x", NOT_PLAIN),
        ("[127.0.0.1:22]:x", NOT_PLAIN),
        ("git@[::1]:x", NOT_PLAIN),
    ],
)
def test_what_leads_to_the_worker_itself_is_refused(url: str, why: str) -> None:
    assert why in Reach(OWN).refusal(url)
    assert Reach(OWN).is_closed(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3000/team/lib.git",
        "http://user@127.0.0.1:3000/lib",
        "https://git.example.invalid/a/b.git",
        "https://203.0.113.7:8443/a?x=127.0.0.1",
        "ssh://git@git.example.invalid/a",
        "git@git.example.invalid:a/b.git",
    ],
)
def test_the_own_server_and_others_elsewhere_are_asked(url: str) -> None:
    assert Reach(OWN).refusal(url) == ""
    assert not Reach(OWN).is_closed(url)


@pytest.mark.parametrize("url", ["file:///srv/x.git", "/srv/x.git", "../x"])
def test_what_git_refuses_itself_has_gits_words(url: str) -> None:
    assert Reach(OWN).refusal(url) == ""


@pytest.mark.parametrize("url", ["ssh://git@git.example.invalid/a", "git@git.example.invalid:a", "git+ssh://h/a"])
def test_an_untrusted_run_does_not_use_the_machines_keys(url: str) -> None:
    assert "asks no server by ssh" in Reach("git@git.example.invalid:app", trusted=False).refusal(url)
    assert "asks no server by ssh" in Reach("", trusted=False, reaches_host=True).refusal(url)


def test_with_trust_in_the_network_the_own_machine_is_asked() -> None:
    assert Reach(OWN, reaches_host=True).refusal("http://127.0.0.1:6379/x") == ""
    assert OPEN.refusal("http::http://127.0.0.1/x") == ""
    assert not OPEN.is_closed("http://127.0.0.1/x")


def test_the_sentence_says_what_opens_it() -> None:
    assert "an administrator can trust the repository with 'network'" in Reach(OWN).refusal("http://127.0.0.1/")
    assert "no untrusted run has trust" in Reach(OWN, trusted=False).refusal("http://127.0.0.1/")


@pytest.mark.parametrize(
    ("own", "asked", "new", "followed"),
    [
        ("http://127.0.0.1/a", "http://127.0.0.1/a", "https://127.0.0.1/a", True),
        ("http://127.0.0.1/a", "https://127.0.0.1/a", "https://127.0.0.1/b", True),
        ("http://127.0.0.1/a", "http://127.0.0.1/a", "http://localhost:6379/a", False),
        ("https://git.example.invalid/a", "https://git.example.invalid/a", "https://127.0.0.1/a", False),
        ("https://127.0.0.1/a", "https://sub.example.invalid/a", "https://127.0.0.1:6379/a", False),
        ("https://127.0.0.1/a", "https://sub.example.invalid/a", "https://127.0.0.1/a", True),
        ("https://git.example.invalid/a", "https://sub.example.invalid/a", "https://other.example.invalid/a", True),
    ],
)
def test_where_a_redirect_may_lead(own: str, asked: str, new: str, followed: bool) -> None:
    assert Reach(own).follows(asked, new) is followed
