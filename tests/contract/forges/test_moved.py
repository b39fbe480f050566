"""A repository that was renamed on its forge: statuses follow on the same host, and the token goes to no other."""

import pytest

from pipelines.state import State
from tests.support.forge import TOKEN, FakeForge, forge_server
from workers.forges import FORGES
from workers.forges.http import make_client, post
from workers.forges.status_request import Answer, CommitStatus, Home, Request, accepted, moved_path, refusal

RENEW = "`headway repo token acme/roof`"
SHA = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"
TOLD = CommitStatus(SHA, State.PASSED, "headway/push", "Passed", "https://ci.test/repos/acme/roof/runs/7", "main")


def tell(forge: str, server: FakeForge, path: str = "old/barn") -> tuple[Request, Answer]:
    request = FORGES[forge].report(Home(f"{server.url}/{path}.git"), TOKEN, TOLD)
    assert request is not None
    with make_client() as client:
        return request, post(client, request)


def right_url(forge: str, server: FakeForge) -> str:
    request = FORGES[forge].report(Home(f"{server.url}/acme/roof.git"), TOKEN, TOLD)
    assert request is not None
    return request.url


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("relative", [True, False])
def test_a_redirect_on_the_same_host_is_followed_with_method_body_and_token(
    forge: str, server: FakeForge, status: int, relative: bool
) -> None:
    url = right_url(forge, server)
    server.fail(status, headers={"location": url.removeprefix(server.url) if relative else url})
    request, answer = tell(forge, server)
    assert accepted(answer, request), answer
    assert answer.url == url
    assert [told.sha for told in server.told] == [SHA]
    assert moved_path("old/barn", request.url, answer.url) == "acme/roof"


def test_no_token_goes_to_another_host_or_port(forge: str, server: FakeForge) -> None:
    with forge_server(forge) as other:
        server.fail(307, "moved", headers={"location": right_url(forge, other)})
        request, answer = tell(forge, server)
        assert other.asked == 0
    assert not accepted(answer, request)
    said = refusal(answer, "acme/roof", RENEW)
    assert "and a token is sent to no other host" in said
    assert "`headway repo url acme/roof ADDRESS` changes its address" in said


@pytest.mark.parametrize(
    ("status", "location"),
    [
        (303, "{url}"),
        (302, "/user/login"),
        (301, "http://[::1/x"),
        (301, ""),
        (307, "//other.invalid{path}"),
        (307, "https{tail}"),
    ],
)
def test_other_redirects_are_not_followed(status: int, location: str) -> None:
    with forge_server("gitea") as server:
        url = right_url("gitea", server)
        words = {"url": url, "path": url.removeprefix(server.url), "tail": url.removeprefix("http")}
        server.fail(status, headers={"location": location.format(**words)})
        request, answer = tell("gitea", server)
        assert (answer.status, server.asked) == (status, 1)
    assert not accepted(answer, request)


def test_redirects_in_a_circle_end() -> None:
    with forge_server("gitea") as server:
        url = right_url("gitea", server)
        server.fail(307, times=50, headers={"location": url})
        _, answer = tell("gitea", server)
        assert answer.status == 307
        assert server.asked == 2, "a redirect to itself is not followed"


@pytest.mark.parametrize(
    ("asked", "answered", "new"),
    [
        ("/api/v1/repos/a/b/statuses/1", "/api/v1/repos/c/d/statuses/1", "c/d"),
        ("/repos/a/b/statuses/1", "/repositories/7/statuses/1", ""),
        ("/api/v4/projects/a%2Fb/statuses/1", "/api/v4/projects/c%2Fd%2Fe/statuses/1", "c/d/e"),
        ("/api/v4/projects/a%2Fb/statuses/1", "/api/v4/projects/7/statuses/1", ""),
        ("/api/v1/repos/a/b/statuses/1", "/api/v1/repos/a/b/statuses/1", ""),
        ("/api/v1/repos/a/b/statuses/1", "/user/login", ""),
    ],
)
def test_where_a_redirect_of_the_api_says_that_the_repository_is(asked: str, answered: str, new: str) -> None:
    assert moved_path("a/b", f"https://h{asked}", f"https://h{answered}") == new
