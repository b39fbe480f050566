"""One contract for every forge that is told of runs: words, tokens, addresses, lengths; over a real socket."""

import pytest

from pipelines.state import State
from tests.support.forge import RULES, TOKEN, FakeForge, forge_server
from workers.forges import FORGES
from workers.forges.http import make_client, post
from workers.forges.status_request import (
    Answer,
    CommitStatus,
    Home,
    NoForgeError,
    Request,
    accepted,
    api_and_path,
    is_retryable,
    refusal,
    short,
)

SHA = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"
RENEW = "`headway repo token acme/roof`"
RUN = "https://ci.test/repos/acme/roof/runs/7"
WAITS = {"github": "pending", "gitea": "pending", "gitlab": "pending", "bitbucket": "INPROGRESS"}
WENT_WELL = {"github": "success", "gitea": "success", "gitlab": "success", "bitbucket": "SUCCESSFUL"}


def status(state: State = State.PASSED, sentence: str = "Passed", context: str = "headway/push") -> CommitStatus:
    return CommitStatus(SHA, state, context, sentence, RUN, "main")


def tell(forge: str, server: FakeForge, told: CommitStatus, token: str = TOKEN) -> tuple[Request, Answer]:
    request = FORGES[forge].report(Home(f"{server.url}/acme/roof.git"), token, told)
    assert request is not None
    with make_client() as client:
        return request, post(client, request)


def test_every_forge_but_plain_git_is_told() -> None:
    assert set(RULES) == set(FORGES) - {"generic"}
    assert FORGES["generic"].report(Home("file:///srv/roof.git"), TOKEN, status()) is None


@pytest.mark.parametrize("state", list(State))
def test_each_state_has_a_word_that_the_forge_takes(forge: str, server: FakeForge, state: State) -> None:
    request, answer = tell(forge, server, status(state))
    assert accepted(answer, request), answer
    (told,) = server.told
    assert (told.sha, told.name, told.url) == (SHA, "headway/push", RUN)
    assert (told.state == WENT_WELL[forge]) == (state is State.PASSED)
    assert (told.state in {WAITS[forge], "running"}) == (not state.final)


def test_a_long_description_and_a_long_name_are_shortened(forge: str, server: FakeForge) -> None:
    long = status(State.FAILED, "the roof\nleaks " * 40, f"headway/pull_request/{'storm-' * 10}")
    request, answer = tell(forge, server, long)
    assert accepted(answer, request), answer
    assert server.told[0].description.startswith("the roof leaks the roof")
    assert server.told[0].description.endswith("…")


def test_names_that_differ_only_at_their_ends_have_different_keys(forge: str, server: FakeForge) -> None:
    for end in ("one", "two"):
        tell(forge, server, status(context=f"headway/pull_request/{'storm-' * 10}{end}"))
    assert len({told.name for told in server.told}) == 2


def test_a_wrong_token_is_refused_and_the_sentence_says_what_to_do(forge: str, server: FakeForge) -> None:
    request, answer = tell(forge, server, status(), token="stale")
    assert not accepted(answer, request)
    assert not is_retryable(answer)
    assert refusal(answer, "acme/roof", RENEW) == (
        "the forge refused the commit status: 401 Bad credentials; renew the token with `headway repo token acme/roof`"
    )


def test_a_token_that_a_server_sends_back_is_masked(forge: str, server: FakeForge) -> None:
    server.fail(422, f"what is {TOKEN}?")
    _, answer = tell(forge, server, status())
    assert answer.said == "what is ***?"
    assert TOKEN not in repr(FORGES[forge].report(Home(f"{server.url}/acme/roof"), TOKEN, status()))


@pytest.mark.parametrize("length", [40, 41])
def test_bitbuckets_key_has_at_most_forty_characters_and_a_longer_name_is_shortened(length: int) -> None:
    context = f"headway/{'s' * (length - 8)}"
    request = FORGES["bitbucket"].report(Home("https://bitbucket.org/acme/roof"), TOKEN, status(context=context))
    assert request is not None
    key = str(request.body["key"])
    assert len(key) == 40
    assert (key == context) is (length == 40)


def test_a_status_that_gitlab_has_already_counts_as_accepted() -> None:
    said = 'Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via "enqueue")'
    with forge_server("gitlab") as server:
        for state in (State.RUNNING, State.PASSED):
            server.fail(400, said)
            request, answer = tell("gitlab", server, status(state))
            assert accepted(answer, request) is not state.final


def test_a_token_of_a_bitbucket_user_is_sent_with_the_users_name() -> None:
    request = FORGES["bitbucket"].report(Home("https://bitbucket.org/acme/roof"), "ada@acme.test:abc", status())
    assert request is not None
    assert request.headers["authorization"] == "Basic YWRhQGFjbWUudGVzdDphYmM="


def test_gitlab_and_bitbucket_get_the_branch_which_merge_requests_need() -> None:
    for forge, name in (("gitlab", "ref"), ("bitbucket", "refname")):
        request = FORGES[forge].report(Home("https://git.test/acme/roof"), TOKEN, status())
        assert request is not None
        assert request.body[name] == "main"


@pytest.mark.parametrize(
    ("forge", "address", "api", "url"),
    [
        ("github", "https://github.com/acme/roof.git", "", "https://api.github.com/repos/acme/roof/statuses/"),
        ("github", "git@github.com:acme/roof.git", "", "https://api.github.com/repos/acme/roof/statuses/"),
        ("github", "https://git.corp.test/acme/roof", "", "https://git.corp.test/api/v3/repos/acme/roof/statuses/"),
        ("gitea", "ssh://git@git.test:2222/acme/roof.git", "", "https://git.test/api/v1/repos/acme/roof/statuses/"),
        (
            "gitea",
            "http://ada@git.test:3000/acme/roof.git",
            "",
            "http://git.test:3000/api/v1/repos/acme/roof/statuses/",
        ),
        (
            "gitea",
            "https://acme.test/git/acme/roof",
            "https://acme.test/git/api/v1",
            "https://acme.test/git/api/v1/repos/acme/roof/statuses/",
        ),
        (
            "gitlab",
            "https://gitlab.com/acme/houses/roof.git",
            "",
            "https://gitlab.com/api/v4/projects/acme%2Fhouses%2Froof/statuses/",
        ),
        (
            "bitbucket",
            "git@bitbucket.org:acme/roof.git",
            "",
            "https://api.bitbucket.org/2.0/repositories/acme/roof/commit/",
        ),
    ],
)
def test_the_api_is_derived_from_the_repositorys_address(forge: str, address: str, api: str, url: str) -> None:
    request = FORGES[forge].report(Home(address, api), TOKEN, status())
    assert request is not None
    assert request.url.startswith(url + SHA)


@pytest.mark.parametrize("address", ["file:///srv/roof.git", "/srv/roof.git", ""])
def test_an_address_without_a_host_names_no_forge(address: str) -> None:
    with pytest.raises(NoForgeError, match="--web-url"):
        api_and_path(Home(address), "/api/v1")


@pytest.mark.parametrize(
    ("text", "cut"),
    [("short", "short"), ("a b  c\nd", "a b c d"), ("twelve chars", "twelve chars"), ("twelve charms", "twelve…")],
)
def test_texts_are_cut_at_words(text: str, cut: str) -> None:
    assert short(text, 12) == cut


def test_a_word_that_is_too_long_is_cut_itself() -> None:
    assert short("a" * 20, 12) == "a" * 11 + "…"


@pytest.mark.parametrize(
    ("status", "headers", "again", "pause_s"),
    [
        (500, {}, True, 0),
        (429, {"retry-after": "30"}, True, 30),
        (429, {}, True, 0),
        (403, {"retry-after": "60"}, True, 60),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9999999999"}, True, 3_600),
        (403, {}, False, 0),
        (503, {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, True, 3_600),
        (503, {"retry-after": "soon"}, True, 0),
        (422, {}, False, 0),
        (302, {"location": "https://elsewhere.test/"}, False, 0),
    ],
)
def test_which_answers_are_retried_and_after_which_pause(
    status: int, headers: dict[str, str], again: bool, pause_s: int
) -> None:
    with forge_server("gitea") as server:
        server.fail(status, "no", headers=headers)
        _, answer = tell("gitea", server, CommitStatus(SHA, State.PASSED, "headway/push", "Passed", RUN))
    assert (is_retryable(answer), answer.pause_s) == (again, pause_s)
    assert f"{status} no" in refusal(answer, "acme/roof", RENEW)
