"""What a run has of its tag, of LFS and of the clone plugin's settings for submodules."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pipelines.plan import Checkout
from runner.errors import StepError
from runner.source.mirrors.mirror import Mirror
from runner.source.working_tree import working_tree
from tests.runner.source.test_source import in_checkout
from tests.runner.source.test_source_parts import LARGE, bring, git_lfs, with_large_file
from tests.support.git_server import git_server
from tests.support.repos import WHO, Repo

__all__ = ["git_lfs"]

DESCRIBE = ("describe", "--exact-match", "--tags", "--dirty", "--match=*v1")


@pytest.mark.parametrize("annotated", [0, 1, 2])
@pytest.mark.parametrize("how", [Checkout(), Checkout(depth=0), Checkout(depth=2), Checkout(tags=True)])
def test_the_run_of_a_tag_has_it(repo: Repo, mirror: Mirror, tmp_path: Path, annotated: int, how: Checkout) -> None:
    sha = repo.commit({"a": "2"}, repo.commit({"a": "1"}))
    names = ("inner", "rel/v1") if annotated == 2 else ("rel/v1",)
    for name in names:
        repo.git(
            "tag", *(("-am", "t") if annotated else ()), name, "inner" if name == "rel/v1" and annotated == 2 else sha
        )
    mirror.fetch(sha, "refs/tags/rel/v1")
    for target in ("first", "second"):
        mirror.checkout(sha, tmp_path / target, how.model_copy(update={"tag": "rel/v1"}), for_builds=True)
        assert in_checkout(tmp_path / target, *DESCRIBE).strip() == "rel/v1"
        kind = in_checkout(tmp_path / target, "cat-file", "-t", "refs/tags/rel/v1").strip()
        assert kind == ("tag" if annotated else "commit")


@pytest.mark.parametrize("gone", [True, False])
def test_a_tag_that_is_gone_or_elsewhere_by_now_is_a_plain_one(
    repo: Repo, mirror: Mirror, tmp_path: Path, gone: bool
) -> None:
    sha = repo.commit({"a": "1"})
    repo.git("tag", "-am", "t", "v1", sha)
    mirror.fetch(sha, "refs/tags/v1")
    repo.git("tag", "-d", "v1")
    if not gone:
        repo.git("tag", "-am", "t", "v1", repo.commit({"a": "2"}, sha))
    mirror.checkout(sha, tmp_path / "checkout", Checkout(tag="v1"))
    assert in_checkout(tmp_path / "checkout", *DESCRIBE).strip() == "v1"


def lfs_server(httpserver: HTTPServer, name: str) -> None:
    def batch(request: Request) -> Response:
        wanted = json.loads(request.data)["objects"]
        found = {"authenticated": True, "actions": {"download": {"href": httpserver.url_for("/large")}}}
        answer = {"transfer": "basic", "objects": [each | found for each in wanted]}
        return Response(json.dumps(answer), mimetype="application/vnd.git-lfs+json")

    httpserver.expect_request(f"/{name}.git/info/lfs/objects/batch", method="POST").respond_with_handler(batch)
    httpserver.expect_request("/large").respond_with_data(LARGE)


def without_lfs(folder: Path, place: Path, *arguments: str) -> str:
    """What git says in a step: with an index that knows nothing of the files, and no git-lfs."""
    programs = place / "programs"
    if not programs.exists():
        programs.mkdir()
        for name in ("git", "sh", "cat", "head", "tr", "cut", "wc", "rm", "mktemp", "sha256sum"):
            found = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, check=True)
            (programs / name).symlink_to(found.stdout.decode().strip())
    env = {"PATH": str(programs), "HOME": "/nonexistent", **WHO}
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *arguments]
    return subprocess.run(command, env=env, check=True, capture_output=True).stdout.decode()


@pytest.mark.slow
@pytest.mark.usefixtures("git_lfs")
@pytest.mark.parametrize("for_builds", [True, False])
def test_a_checkout_with_large_files_is_clean(
    repo: Repo, httpserver: HTTPServer, tmp_path: Path, for_builds: bool
) -> None:
    lfs_server(httpserver, "large")
    sha = with_large_file(repo)
    repo.git("tag", "v1", sha)
    mirror = Mirror(tmp_path / "mirrors", httpserver.url_for("/large.git"))
    bring(repo, mirror, sha)
    target = tmp_path / "checkout"
    mirror.checkout(sha, target, Checkout(lfs=True), for_builds=for_builds)
    for path in target.iterdir():
        os.utime(path, (1, 1), follow_symlinks=False)
    assert without_lfs(target, tmp_path, "status", "--porcelain") == ""
    assert in_checkout(target, "status", "--porcelain") == ""
    assert not without_lfs(target, tmp_path, "describe", "--always", "--dirty").endswith("dirty\n")
    (target / "a.bin").write_bytes(LARGE + b"more")
    assert without_lfs(target, tmp_path, "status", "--porcelain") == " M a.bin\n"


@pytest.mark.slow
@pytest.mark.usefixtures("git_lfs")
def test_large_files_of_submodules_come_too(repo: Repo, httpserver: HTTPServer, tmp_path: Path) -> None:
    inner = Repo(tmp_path / "inner.git")
    commit = with_large_file(inner, **{".lfsconfig": f"[lfs]\n\turl = {httpserver.url_for('/inner.git/info/lfs')}\n"})
    lfs_server(httpserver, "inner")
    modules = '[submodule "sub"]\n\tpath = a b/sub\n\turl = ../inner.git\n'
    sha = repo.commit({".gitmodules": modules, "a b/sub+": commit})
    with git_server(tmp_path) as server:
        mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git")
        mirror.fetch(sha)
        mirror.checkout(sha, tmp_path / "checkout", Checkout(lfs=True, submodules=True))
    assert (tmp_path / "checkout/a b/sub/a.bin").read_bytes() == LARGE
    assert without_lfs(tmp_path / "checkout", tmp_path, "status", "--porcelain") == ""


@pytest.mark.usefixtures("git_lfs")
def test_a_commit_without_large_files_asks_no_server(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1", ".gitattributes": "*.txt text\n"})
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout(lfs=True))
    assert "lfs" not in (tmp_path / "checkout/.git/config").read_text()


def test_on_a_laptop_it_is_clean_too(tmp_path: Path) -> None:
    work = tmp_path / "work"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(LARGE).hexdigest()}\nsize 5000\n"
    work.mkdir()
    (work / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (work / "a.bin").write_text(pointer)
    env = {"PATH": os.environ["PATH"], **WHO}
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "m")):
        subprocess.run(["git", "-C", str(work), *words], env=env, check=True)
    (work / "a.bin").write_bytes(LARGE)
    working_tree(work).check_out(tmp_path / "laptop", Checkout(lfs=True))
    assert (tmp_path / "laptop/a.bin").read_bytes() == LARGE
    assert without_lfs(tmp_path / "laptop", tmp_path, "status", "--porcelain") == ""


# The plugin's settings for submodules


def submodule(repo: Repo, url: str, branch: str = "") -> str:
    inner = Repo(repo.path.parent / "inner.git")
    first = inner.commit({"a": "first"})
    inner.commit({"a": "second"}, first)
    inner.commit({"a": "of dev"}, first, ref="refs/heads/dev")
    of = f"\tbranch = {branch}\n" if branch else ""
    return repo.commit({".gitmodules": f'[submodule "s"]\n\tpath = lib\n\turl = {url}\n{of}', "lib+": first})


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["", "version=2"])
def test_a_submodule_comes_from_another_address(repo: Repo, tmp_path: Path, protocol: str) -> None:
    sha = submodule(repo, "git@unknown.invalid:inner.git")
    with git_server(tmp_path) as server:
        server.protocol = protocol
        mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git")
        mirror.fetch(sha)
        how = Checkout(submodules=True, submodule_urls={"s": f"{server.url}/inner.git"})
        mirror.checkout(sha, tmp_path / "checkout", how)
    assert (tmp_path / "checkout/lib/a").read_text() == "first"


@pytest.mark.parametrize("url", ["ext::sh -c id", "-u./x", "nonsense"])
def test_but_from_no_address_that_headway_does_not_clone(repo: Repo, mirror: Mirror, tmp_path: Path, url: str) -> None:
    sha = submodule(repo, "../inner.git")
    mirror.fetch(sha)
    with pytest.raises(StepError, match="is not a URL that Headway clones from"):
        mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True, submodule_urls={"s": url}))


@pytest.mark.slow
@pytest.mark.parametrize(("branch", "content"), [("", "second"), ("dev", "of dev")])
def test_the_newest_commit_of_a_submodule(repo: Repo, tmp_path: Path, branch: str, content: str) -> None:
    sha = submodule(repo, "../inner.git", branch)
    with git_server(tmp_path) as server:
        mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git")
        mirror.fetch(sha)
        mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True, submodules_newest=True))
    assert (tmp_path / "checkout/lib/a").read_text() == content
