"""Submodules and LFS servers at the worker's own addresses: nothing is asked there, by real git and git-lfs."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.reach import Reach
from runner.source.git.server import RepoServer, TransientGitError
from runner.source.lfs_gateway import REQUEST_BYTES_MAX, lfs_gateway
from runner.source.mirrors.mirror import Mirror
from runner.source.submodules import add_submodules
from tests.runner.source.test_source_parts import LARGE, git_lfs, with_large_file, with_submodule
from tests.support.git_server import GitServer, git_server
from tests.support.repos import Repo

__all__ = ["git_lfs"]
pytestmark = pytest.mark.slow
JSON = "application/vnd.git-lfs+json"
CheckOut = Callable[..., Path]


@pytest.fixture
def server(repo: Repo) -> Iterator[GitServer]:
    """The repository's own server."""
    with git_server(repo.path.parent) as found:
        yield found


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[GitServer]:
    """Another server on this machine."""
    (tmp_path / "elsewhere").mkdir()
    with git_server(tmp_path / "elsewhere") as found:
        yield found


@pytest.fixture
def check_out(server: GitServer, tmp_path: Path) -> CheckOut:
    """Checks out a commit with all that it names, as a worker does; ``outside`` are hosts taken for others' servers."""

    def checked(sha: str, *, outside: str = "", reaches_host: bool = False, trusted: bool = True) -> Path:
        mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git")
        reach = Reach(f"{server.url}/remote.git")
        if outside:
            reach = replace(reach, leads_to_host=lambda host: host != outside and Reach().leads_to_host(host))
        mirror = mirror.within(reach)
        mirror.fetch(sha)
        how = Checkout(submodules=True, lfs=True)
        target = tmp_path / f"checkout{len(list(tmp_path.iterdir()))}"
        mirror.checkout(sha, target, how, trusted=trusted, reaches_host=reaches_host)
        return target

    return checked


def port(server: GitServer) -> int:
    return int(server.server_address[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1", "[::ffff:127.0.0.1]"])
def test_a_submodule_at_an_address_of_the_worker_is_not_asked(
    repo: Repo, elsewhere: GitServer, check_out: CheckOut, host: str
) -> None:
    commit = Repo(elsewhere.folder / "lib.git").commit({"inner": "1"})
    sha = with_submodule(repo, f"http://{host}:{port(elsewhere)}/lib.git", commit)
    with pytest.raises(StepError, match=r"the submodule 'sub' in .gitmodules is at .* the worker's own machine") as no:
        check_out(sha)
    assert no.value.reason is Reason.CLONE_FAILED
    assert elsewhere.logins == []


def test_with_trust_in_the_network_it_is_asked(repo: Repo, elsewhere: GitServer, check_out: CheckOut) -> None:
    commit = Repo(elsewhere.folder / "lib.git").commit({"inner": "1"})
    sha = with_submodule(repo, f"{elsewhere.url}/lib.git", commit)
    assert (check_out(sha, reaches_host=True) / "sub/inner").read_text() == "1"


@pytest.mark.parametrize("url", ["../lib.git", "{own}/lib.git"])
def test_the_repositorys_own_server_is_asked_wherever_it_is(
    repo: Repo, server: GitServer, check_out: CheckOut, url: str
) -> None:
    commit = Repo(repo.path.parent / "lib.git").commit({"inner": "1"})
    sha = with_submodule(repo, url.format(own=server.url), commit)
    assert (check_out(sha, trusted=False) / "sub/inner").read_text() == "1"


def test_a_submodule_of_a_submodule_is_not_asked_either(repo: Repo, elsewhere: GitServer, check_out: CheckOut) -> None:
    deep = Repo(elsewhere.folder / "deep.git").commit({"inner": "1"})
    lib = with_submodule(Repo(repo.path.parent / "lib.git"), f"{elsewhere.url}/deep.git", deep)
    sha = with_submodule(repo, "../lib.git", lib)
    with pytest.raises(StepError, match=r"the submodule 'sub' of sub in .gitmodules is at"):
        check_out(sha)
    assert elsewhere.logins == []
    assert (check_out(sha, reaches_host=True) / "sub/sub/inner").read_text() == "1"


def test_a_relative_address_that_climbs_to_another_host_is_not_asked(
    repo: Repo, elsewhere: GitServer, check_out: CheckOut
) -> None:
    commit = Repo(elsewhere.folder / "lib.git").commit({"inner": "1"})
    sha = with_submodule(repo, f"../../localhost:{port(elsewhere)}/lib.git", commit)
    with pytest.raises(StepError, match="the worker's own machine"):
        check_out(sha)
    assert elsewhere.logins == []


def test_a_redirect_of_a_submodules_server_is_not_followed_to_the_worker(
    repo: Repo, elsewhere: GitServer, check_out: CheckOut, tmp_path: Path
) -> None:
    commit = Repo(elsewhere.folder / "lib.git").commit({"inner": "1"})
    with git_server(tmp_path / "elsewhere") as hostile:
        hostile.moved = {"/gone.git": f"http://127.0.0.1:{port(elsewhere)}/lib.git"}
        sha = with_submodule(repo, f"http://localhost:{port(hostile)}/gone.git", commit)
        with pytest.raises(StepError, match="the server sends to another place"):
            check_out(sha, outside="localhost")
        assert elsewhere.logins == []
        assert (check_out(sha, reaches_host=True) / "sub/inner").read_text() == "1"


def test_a_helper_of_git_is_no_way_around(repo: Repo, elsewhere: GitServer, check_out: CheckOut) -> None:
    commit = Repo(elsewhere.folder / "lib.git").commit({"inner": "1"})
    sha = with_submodule(repo, f"http::{elsewhere.url}/lib.git", commit)
    with pytest.raises(StepError):
        check_out(sha)
    assert elsewhere.logins == []


def test_a_nested_submodule_that_fails_is_named_with_its_whole_path(repo: Repo, check_out: CheckOut) -> None:
    lib = with_submodule(Repo(repo.path.parent / "lib.git"), "../none.git", "1" * 40)
    with pytest.raises(StepError, match="cannot fetch the submodule sub/sub from "):
        check_out(with_submodule(repo, "../lib.git", lib))


@pytest.mark.parametrize("over", [0, 1])
def test_the_number_of_submodules_is_limited(repo: Repo, server: GitServer, tmp_path: Path, over: int) -> None:
    lib = Repo(repo.path.parent / "lib.git").commit({"inner": "1"})
    sha = with_submodule(repo, "../outer.git", with_submodule(Repo(repo.path.parent / "outer.git"), "../lib.git", lib))
    mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git")
    mirror.fetch(sha)
    target = tmp_path / "checkout"
    mirror.checkout(sha, target, Checkout())
    fetching = partial(add_submodules, RepoServer(server.url, None, {}), ["git"], target, {}, newest=False)
    if over:
        with pytest.raises(StepError, match="more than 1 submodules"):
            fetching(count_max=1)
    else:
        fetching(count_max=2)
        assert (target / "sub/sub/inner").is_file()


class LfsServer:
    """An LFS server, which says that its files are at ``href``."""

    def __init__(self, server: HTTPServer) -> None:
        self.server, self.href = server, server.url_for("/large")
        self.port = server.port
        self.content, self.batches = LARGE, 0
        self.instead: dict[str, Response] = {}
        server.expect_request("/lfs/objects/batch", method="POST").respond_with_handler(self._batch)
        server.expect_request("/large").respond_with_handler(
            lambda _: self.instead.get("/large") or Response(self.content)
        )
        server.expect_request("/secret").respond_with_data(LARGE)

    def _batch(self, request: Request) -> Response:
        self.batches += 1
        if request.path in self.instead:
            return self.instead[request.path]
        wanted = json.loads(request.data)["objects"]
        found = {"actions": {"download": {"href": self.href, "header": {"X-Key": "1"}}}}
        answer = {"transfer": "basic", "objects": [each | found for each in wanted]}
        return Response(json.dumps(answer), mimetype=JSON)

    @property
    def paths(self) -> list[str]:
        return [request.path for request, _ in self.server.log]


@pytest.fixture
def lfs(httpserver: HTTPServer) -> LfsServer:
    return LfsServer(httpserver)


def with_lfs_url(repo: Repo, url: str) -> str:
    return with_large_file(repo, **{".lfsconfig": f"[lfs]\n\turl = {url}\n"})


@pytest.mark.usefixtures("git_lfs")
def test_an_lfs_server_at_an_address_of_the_worker_is_not_asked(
    repo: Repo, lfs: LfsServer, check_out: CheckOut
) -> None:
    sha = with_lfs_url(repo, lfs.server.url_for("/lfs"))
    with pytest.raises(StepError, match=r"lfs.url in .lfsconfig is .* the worker's own machine"):
        check_out(sha)
    assert lfs.paths == []
    assert (check_out(sha, reaches_host=True) / "a.bin").read_bytes() == LARGE


@pytest.mark.usefixtures("git_lfs")
def test_another_lfs_server_gives_its_files(repo: Repo, lfs: LfsServer, check_out: CheckOut) -> None:
    sha = with_lfs_url(repo, f"http://127.0.0.1:{lfs.port}/lfs")
    lfs.href = f"http://127.0.0.1:{lfs.port}/large"
    assert (check_out(sha, outside="127.0.0.1") / "a.bin").read_bytes() == LARGE


@pytest.mark.usefixtures("git_lfs")
@pytest.mark.parametrize("host", ["localhost", "127.1", "[::ffff:127.0.0.1]"])
def test_an_lfs_server_leads_to_no_address_of_the_worker(
    repo: Repo, lfs: LfsServer, check_out: CheckOut, host: str
) -> None:
    """git-lfs takes no proxy for loopback addresses: only one that answers it in the server's place sees them."""
    sha = with_lfs_url(repo, f"http://127.0.0.1:{lfs.port}/lfs")
    lfs.href = f"http://{host}:{lfs.port}/secret"
    with pytest.raises(StepError, match=r"the server sends to .*/secret'; the worker's own machine"):
        check_out(sha, outside="127.0.0.1")
    assert "/secret" not in lfs.paths
    lfs.href = f"http://127.0.0.1:{lfs.port}/large"
    assert (check_out(sha, outside="127.0.0.1") / "a.bin").read_bytes() == LARGE


@pytest.mark.usefixtures("git_lfs")
@pytest.mark.parametrize("path", ["/lfs/objects/batch", "/large"])
def test_a_redirect_of_an_lfs_server_is_not_followed_to_the_worker(
    repo: Repo, httpserver: HTTPServer, check_out: CheckOut, path: str
) -> None:
    answer = Response("", 307, {"Location": f"http://localhost:{httpserver.port}/secret"})
    lfs = LfsServer(httpserver)
    lfs.instead[path], lfs.href = answer, f"http://127.0.0.1:{lfs.port}/large"
    sha = with_lfs_url(repo, f"http://127.0.0.1:{lfs.port}/lfs")
    with pytest.raises(StepError, match=r"the server sends to .*/secret'; the worker's own machine"):
        check_out(sha, outside="127.0.0.1")
    assert "/secret" not in lfs.paths


@pytest.mark.usefixtures("git_lfs")
def test_nothing_else_in_lfsconfig_chooses_a_server(repo: Repo, server: GitServer, lfs: LfsServer,
                                                   check_out: CheckOut) -> None:  # fmt: skip
    url = lfs.server.url_for("/lfs")
    settings = f'[remote "origin"]\n\tlfsurl = {url}\n[lfs]\n\tpushurl = {url}\n'
    sha = with_large_file(repo, **{".lfsconfig": settings})
    with pytest.raises(StepError):
        check_out(sha)
    assert lfs.paths == []
    assert any(path.startswith("/remote.git/info/lfs") for path in server.asked)


@pytest.mark.usefixtures("git_lfs")
@pytest.mark.parametrize(
    ("status", "away", "said"),
    [
        (401, False, "is asked without a login"),
        (503, True, "it answers with status 503"),
        (404, False, "no LFS server"),
    ],
)
def test_what_another_lfs_server_refuses(
    repo: Repo, httpserver: HTTPServer, check_out: CheckOut, status: int, away: bool, said: str
) -> None:
    httpserver.expect_request("/lfs/objects/batch").respond_with_data("{}", status, content_type=JSON)
    sha = with_lfs_url(repo, f"http://127.0.0.1:{httpserver.port}/lfs")
    with pytest.raises(StepError, match=said) as failed:
        check_out(sha, outside="127.0.0.1")
    assert isinstance(failed.value, TransientGitError) is away


@pytest.mark.usefixtures("git_lfs")
def test_what_is_no_lfs_server_is_a_sentence(repo: Repo, httpserver: HTTPServer, check_out: CheckOut) -> None:
    httpserver.expect_request("/lfs/objects/batch").respond_with_data("[" * 100_000)
    sha = with_lfs_url(repo, f"http://127.0.0.1:{httpserver.port}/lfs")
    with pytest.raises(TransientGitError, match="its answer is not that of an LFS server"):
        check_out(sha, outside="127.0.0.1")


@pytest.mark.usefixtures("git_lfs")
def test_a_file_that_goes_on_behind_its_size_is_not_read_on(repo: Repo, lfs: LfsServer, check_out: CheckOut) -> None:
    lfs.content = LARGE + b"x" * 10_000_000
    sha = with_lfs_url(repo, f"http://127.0.0.1:{lfs.port}/lfs")
    with pytest.raises(StepError):
        check_out(sha, outside="127.0.0.1")


@pytest.mark.parametrize("over", [0, 1])
def test_the_gateway_reads_only_so_much_of_a_request(lfs: LfsServer, over: int) -> None:
    wanted = {"objects": [{"oid": hashlib.sha256(LARGE).hexdigest(), "size": len(LARGE)}]}
    body = json.dumps(wanted).ljust(REQUEST_BYTES_MAX + over)
    reach = Reach("http://a.invalid/", leads_to_host=lambda _: False)
    with lfs_gateway(f"http://127.0.0.1:{lfs.port}/lfs", reach, {}) as gateway:
        answer = requests.post(f"{gateway.url}/objects/batch", body, timeout=60)
        assert answer.status_code == (400 if over else 200)
        if not over:
            href = answer.json()["objects"][0]["actions"]["download"]["href"]
            assert requests.get(href, timeout=60).content == LARGE
            assert requests.get(f"{gateway.url}/object/other", timeout=60).status_code == 404
    assert lfs.batches == 1 - over
