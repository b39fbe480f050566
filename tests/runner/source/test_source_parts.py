"""What of a checkout lies elsewhere: submodules and large files."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.git.git import GitLogin
from runner.source.mirrors.mirror import Mirror
from tests.runner.source.test_source import in_checkout
from tests.support.git_server import PASSWORD, USER, GitServer, git_server
from tests.support.repos import Repo

LOGIN = GitLogin(USER, PASSWORD)
LARGE = b"large" * 1_000


@pytest.fixture
def private(repo: Repo) -> Iterator[GitServer]:
    with git_server(repo.path.parent, login=True) as server:
        yield server


def with_submodule(repo: Repo, url: str, commit: str) -> str:
    modules = f'[submodule "sub"]\n\tpath = sub\n\turl = {url}\n'
    return repo.commit({".gitmodules": modules, "sub+": commit})


@pytest.mark.slow
@pytest.mark.parametrize("relative", [True, False])
def test_a_submodule_on_the_same_host_is_fetched_with_the_login(
    repo: Repo, private: GitServer, tmp_path: Path, relative: bool
) -> None:
    other = Repo(tmp_path / "other.git").commit({"inner": "1"})
    sha = with_submodule(repo, "../other.git" if relative else f"{private.url}/other.git", other)
    mirror = Mirror(tmp_path / "mirrors", f"{private.url}/{repo.path.name}", LOGIN)
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True), trusted=True)
    assert (tmp_path / "checkout/sub/inner").read_text() == "1"
    words = [path.read_bytes() for path in (tmp_path / "checkout").rglob("*") if path.is_file()]
    assert not any(b"Authorization" in word or PASSWORD.encode() in word for word in words)


@pytest.mark.slow
def test_a_stranger_reads_nothing_with_the_login(repo: Repo, private: GitServer, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other.git").commit({"inner": "1"})
    sha = with_submodule(repo, f"{private.url}/other.git", other)
    mirror = Mirror(tmp_path / "mirrors", f"{private.url}/{repo.path.name}", LOGIN)
    mirror.fetch(sha)
    with pytest.raises(MachineError) as refused:
        mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True))
    assert refused.value.reason is Reason.CLONE_FAILED
    assert not any("other.git" in path for path in private.asked)


@pytest.mark.slow
def test_a_submodule_on_another_host_gets_no_login(repo: Repo, private: GitServer, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = Repo(elsewhere / "other.git").commit({"inner": "1"})
    with git_server(elsewhere, login=True) as server:
        sha = with_submodule(repo, f"{server.url}/other.git", other)
        mirror = Mirror(tmp_path / "mirrors", f"{private.url}/{repo.path.name}", LOGIN)
        mirror.fetch(sha)
        with pytest.raises(MachineError):
            mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True), trusted=True)
        assert server.asked == []


@pytest.fixture
def git_lfs() -> None:
    if shutil.which("git-lfs") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("git-lfs is not installed")


def with_large_file(repo: Repo, **more: str) -> str:
    digest = hashlib.sha256(LARGE).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(LARGE)}\n"
    return repo.commit({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": pointer, **more})


@pytest.mark.slow
@pytest.mark.usefixtures("git_lfs")
def test_large_files_come_with_the_login_and_are_kept_for_the_next_time(
    repo: Repo, httpserver: HTTPServer, tmp_path: Path
) -> None:
    logins: list[str] = []

    def batch(request: Request) -> Response:
        logins.append(request.authorization.password or "" if request.authorization else "")
        wanted = json.loads(request.data)["objects"]
        found = {"authenticated": True, "actions": {"download": {"href": httpserver.url_for("/large")}}}
        answer = {"transfer": "basic", "objects": [each | found for each in wanted]}
        return Response(json.dumps(answer), mimetype="application/vnd.git-lfs+json")

    sha = with_large_file(repo)
    httpserver.expect_request("/large.git/info/lfs/objects/batch", method="POST").respond_with_handler(batch)
    httpserver.expect_request("/large").respond_with_data(LARGE)
    mirror = Mirror(tmp_path / "mirrors", httpserver.url_for("/large.git"), LOGIN)
    bring(repo, mirror, sha)
    for name in ("first", "second"):
        mirror.checkout(sha, tmp_path / name, Checkout(lfs=True), trusted=True)
        assert (tmp_path / name / "a.bin").read_bytes() == LARGE
        assert stat.S_IMODE((tmp_path / name / "a.bin").stat().st_mode) == 0o644
        assert (tmp_path / name / "a.bin").stat().st_nlink == 1
    assert logins == [PASSWORD]
    assert len([log for log in httpserver.log if log[0].path == "/large"]) == 1


def bring(repo: Repo, mirror: Mirror, sha: str) -> None:
    """The commit comes from the disk, for the server above speaks no git."""
    twin = Mirror(mirror.path.parent / "twin", repo.url)
    twin.fetch(sha)
    twin.path.rename(mirror.path)


@pytest.mark.parametrize("url", ["file:///var/lib/secret.git", "ssh://host/x", "/etc"])
def test_large_files_are_not_taken_from_this_machine(repo: Repo, mirror: Mirror, tmp_path: Path, url: str) -> None:
    sha = with_large_file(repo, **{".lfsconfig": f"[lfs]\n\turl = {url}\n"})
    mirror.fetch(sha)
    with pytest.raises(StepError) as refused:
        mirror.checkout(sha, tmp_path / "checkout", Checkout(lfs=True), trusted=True)
    assert "lfs.url" in str(refused.value)


def test_without_git_lfs_the_sentence_says_so(
    repo: Repo, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "sh", "env"):
        (programs / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(programs))
    sha = with_large_file(repo)
    mirror.fetch(sha)
    with pytest.raises(MachineError) as refused:
        mirror.checkout(sha, tmp_path / "checkout", Checkout(lfs=True))
    assert str(refused.value).startswith("git-lfs is not installed on this worker; install it")


def test_what_the_attributes_ask_for_is_done(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    sha = repo.commit({".gitattributes": "*.bat text eol=crlf\n*.id ident\n", "a.bat": "x\ny\n", "a.id": "$Id$\n"})
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout())
    assert (tmp_path / "checkout/a.bat").read_bytes() == b"x\r\ny\r\n"
    assert (tmp_path / "checkout/a.id").read_text().startswith("$Id: ")
    assert in_checkout(tmp_path / "checkout", "status", "--porcelain") == ""


@pytest.mark.slow
def test_where_a_submodules_branches_are_changes_nothing_for_a_build(repo: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other.git")
    pinned = other.commit({"inner": "1", "more": "x\n" * 100})
    with git_server(tmp_path) as server:
        sha = with_submodule(repo, f"{server.url}/other.git", pinned)
        mirror = Mirror(tmp_path / "mirrors", repo.url)
        mirror.fetch(sha)
        found = []
        for number in range(2):
            target = tmp_path / f"checkout-{number}"
            mirror.checkout(sha, target, Checkout(submodules=True), for_builds=True)
            found.append({path.relative_to(target): _content(path) for path in target.rglob("*")})
            assert in_checkout(target / "sub", "status", "--porcelain") == ""
            other.commit({"inner": f"later {number}"}, pinned)
            other.git("repack", "-adfq")
    assert found[0] == found[1]


def _content(path: Path) -> tuple[float, bytes]:
    return path.lstat().st_mtime, path.read_bytes() if path.is_file() else b""
