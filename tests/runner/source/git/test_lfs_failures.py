"""LFS files that cannot be fetched: transient and permanent errors, also where git-lfs shows no status."""

import json
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError
from runner.source.git.git import GitLogin
from runner.source.git.server import TransientGitError
from runner.source.mirrors.mirror import Mirror
from tests.runner.source.test_source_parts import bring, git_lfs, with_large_file
from tests.support.git_server import PASSWORD, USER
from tests.support.repos import Repo
from tests.support.services import free_port

__all__ = ["git_lfs"]
pytestmark = pytest.mark.usefixtures("git_lfs")

BATCH = "/large.git/info/lfs/objects/batch"
JSON = "application/vnd.git-lfs+json"


def failure(repo: Repo, folder: Path, url: str, *, trusted: bool = True) -> MachineError:
    sha = with_large_file(repo)
    mirror = Mirror(folder / "mirrors", url, GitLogin(USER, PASSWORD), name="team/app")
    bring(repo, mirror, sha)
    with pytest.raises(MachineError) as failed:
        mirror.checkout(sha, folder / "checkout", Checkout(lfs=True), trusted=trusted)
    assert str(failed.value).startswith(f"cannot fetch LFS files from {url}: ")
    assert str(folder) not in failed.value.detail
    return failed.value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "away", "said"),
    [
        (401, False, "the forge does not accept the login of 'robot'"),
        (403, False, "the forge does not let the account 'robot' read it (status 403)"),
        (404, False, "there is no LFS server for it: switch LFS on at the forge"),
        (429, True, "asks to wait (its rate limit is reached): status 429"),
        (500, True, "has a fault of its own: status 500"),
        (503, True, "has a fault of its own: status 503"),
    ],
)
def test_what_the_lfs_server_answers(
    repo: Repo, httpserver: HTTPServer, tmp_path: Path, status: int, away: bool, said: str
) -> None:
    message = json.dumps({"message": "words of the forge"})
    headers = {"LFS-Authenticate": 'Basic realm="lfs"', "Retry-After": "0"}
    httpserver.expect_request(BATCH).respond_with_data(message, status, headers, JSON)
    failed = failure(repo, tmp_path, httpserver.url_for("/large.git"))
    assert isinstance(failed, TransientGitError) is away
    assert said in str(failed)


@pytest.mark.parametrize("where", ["in the answer", "behind its address"])
def test_a_file_that_was_not_pushed(repo: Repo, httpserver: HTTPServer, tmp_path: Path, where: str) -> None:
    error = {"error": {"code": 404, "message": "Object does not exist"}}
    there = {"authenticated": True, "actions": {"download": {"href": httpserver.url_for("/gone")}}}

    def batch(request: Request) -> Response:
        known = error if where == "in the answer" else there
        objects = [each | known for each in json.loads(request.data)["objects"]]
        return Response(json.dumps({"transfer": "basic", "objects": objects}), mimetype=JSON)

    httpserver.expect_request(BATCH).respond_with_handler(batch)
    httpserver.expect_request("/gone").respond_with_data("no", 404)
    failed = failure(repo, tmp_path, httpserver.url_for("/large.git"))
    assert failed.reason is Reason.COMMIT_MISSING
    assert "the LFS server does not have a file of this commit; push it with `git lfs push --all`" in str(failed)


def test_a_server_that_is_not_there_may_come_back(repo: Repo, tmp_path: Path) -> None:
    port = free_port()
    failed = failure(repo, tmp_path, f"http://127.0.0.1:{port}/large.git")
    assert isinstance(failed, TransientGitError)
    assert f"127.0.0.1 accepts no connection at port {port}" in str(failed)


def test_an_untrusted_run_has_no_login_for_them(repo: Repo, httpserver: HTTPServer, tmp_path: Path) -> None:
    headers = {"LFS-Authenticate": 'Basic realm="lfs"'}
    httpserver.expect_request(BATCH).respond_with_data("{}", 401, headers, JSON)
    failed = failure(repo, tmp_path, httpserver.url_for("/large.git"), trusted=False)
    assert "an untrusted run fetches submodules and LFS files without the repository's login" in str(failed)
    assert all("Authorization" not in request.headers for request, _ in httpserver.log)
