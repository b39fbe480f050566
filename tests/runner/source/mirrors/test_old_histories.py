"""Histories with old faults, and submodules whose commit is at no tip: cloned as git clones them."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.mirrors.mirror import Mirror
from tests.support.background_server import running
from tests.support.git_server import GitServer, git_server
from tests.support.repos import Repo

ADA = "Ada <ada@example.com> 1700000000 +0100"
PEOPLE = {
    "no e-mail": "Ada 1700000000 +0100",
    "no name": "<ada@example.com> 1700000000 +0100",
    "broken e-mail": "Ada <ada@example.com 1700000000 +0100",
    "two brackets": "Ada <<ada@example.com>> 1700000000 +0100",
    "no space": "Ada<ada@example.com> 1700000000 +0100",
    "bad time zone": "Ada <ada@example.com> 1700000000 +051800",
    "bad date": "Ada <ada@example.com> yesterday",
    "no date": "Ada <ada@example.com>",
    "date with zeros": "Ada <ada@example.com> 01700000000 +0100",
    "huge date": "Ada <ada@example.com> 99999999999999999999 +0000",
}


def raw_commit(repo: Repo, tree: str, author: str, *parents: str, more: str = "") -> str:
    over = "".join(f"parent {parent}\n" for parent in parents)
    text = f"tree {tree}\n{over}author {author}\ncommitter {ADA}\n{more}\nm\n"
    sha = repo.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", data=text.encode())
    repo.git("update-ref", "refs/heads/main", sha)
    return sha


@pytest.fixture
def server(repo: Repo) -> Iterator[GitServer]:
    with git_server(repo.path.parent) as server:
        yield server


def cloned(server: GitServer, sha: str, folder: Path) -> Path:
    mirror = Mirror(folder / "mirrors", f"{server.url}/remote.git")
    mirror.fetch(sha)
    assert mirror.commit(sha).sha == sha
    mirror.checkout(sha, folder / "checkout", Checkout(depth=0, tags=True))
    return folder / "checkout"


@pytest.mark.slow
@pytest.mark.parametrize("fault", PEOPLE)
def test_people_and_dates(repo: Repo, server: GitServer, tmp_path: Path, fault: str) -> None:
    old = raw_commit(repo, repo.tree({"a": "1"}), PEOPLE[fault])
    sha = raw_commit(repo, repo.tree({"a": "2"}), PEOPLE[fault], old)
    assert (cloned(server, sha, tmp_path) / "a").read_text() == "2"


def raw_tree(repo: Repo, *entries: tuple[str, str]) -> str:
    blob = bytes.fromhex(repo.git("hash-object", "-w", "--stdin", data=b"1"))
    folder = bytes.fromhex(repo.tree({"a": "1"}))
    data = b"".join(
        f"{mode} {name}\0".encode() + (folder if mode.lstrip("0").startswith("4") else blob) for mode, name in entries
    )
    return repo.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=data)


TREES = {
    "zero-padded mode": [("040000", "d"), ("100644", "f")],
    "group-writable": [("100664", "f")],
    "not sorted": [("100644", "g"), ("100644", "f")],
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", TREES)
def test_trees(repo: Repo, server: GitServer, tmp_path: Path, fault: str) -> None:
    sha = raw_commit(repo, raw_tree(repo, *TREES[fault]), ADA)
    assert (cloned(server, sha, tmp_path) / "f").read_text() == "1"


@pytest.mark.slow
@pytest.mark.parametrize("url", ["-u./payload", "https://:1/x", "http://a\\nb", "../../../:x"])
def test_addresses_of_submodules_in_the_past(repo: Repo, server: GitServer, tmp_path: Path, url: str) -> None:
    modules = f'[submodule "sub"]\n\tpath = sub\n\turl = "{url}"\n'
    past = repo.commit({".gitmodules": modules})
    sha = repo.commit({"a": "1"}, past)
    assert (cloned(server, sha, tmp_path) / "a").exists()
    mirror = Mirror(tmp_path / "again", f"{server.url}/remote.git")
    now = repo.commit({".gitmodules": modules, "sub+": past}, sha)
    mirror.fetch(now)
    with pytest.raises(StepError):
        mirror.checkout(now, tmp_path / "now", Checkout(submodules=True))


@pytest.mark.slow
def test_what_is_refused_is_not_a_matter_of_credentials(repo: Repo, server: GitServer, tmp_path: Path) -> None:
    modules = '[submodule "../../x"]\n\tpath = sub\n\turl = https://example.org/x\n'
    sha = repo.commit({".gitmodules": modules})
    mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git")
    with pytest.raises(MachineError) as refused:
        mirror.fetch(sha)
    assert "git refuses an object of the repository" in str(refused.value)
    assert "login" not in str(refused.value)


# Submodules


def with_submodule(repo: Repo, folder: Path, url: str = "../inner.git") -> str:
    inner = Repo(folder / "inner.git")
    first = inner.commit({"a": "first"})
    inner.commit({"a": "second"}, first)
    inner.git("update-server-info")
    modules = f'[submodule "sub"]\n\tpath = sub\n\turl = {url}\n\tshallow = true\n'
    sha = repo.commit({".gitmodules": modules, "sub+": first})
    repo.git("update-server-info")
    return sha


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["", "version=1", "version=2"])
def test_a_commit_at_no_tip_of_a_submodule(repo: Repo, server: GitServer, tmp_path: Path, protocol: str) -> None:
    sha = with_submodule(repo, tmp_path)
    server.protocol = protocol
    mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git")
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True))
    assert (tmp_path / "checkout/sub/a").read_text() == "first"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Logs nothing."""


@pytest.mark.slow
def test_a_plain_web_server(repo: Repo, tmp_path: Path) -> None:
    sha = with_submodule(repo, tmp_path)
    with running(ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))) as server:
        mirror = Mirror(tmp_path / "mirrors", f"http://127.0.0.1:{server.server_address[1]}/remote.git")
        mirror.fetch(sha, "refs/heads/main")
        mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True))
    assert (tmp_path / "checkout/sub/a").read_text() == "first"


# Tags


@pytest.mark.parametrize("kind", ["blob", "tree"])
@pytest.mark.parametrize("annotated", [0, 1, 2])
def test_a_tag_on_what_is_no_commit_says_so(repo: Repo, mirror: Mirror, kind: str, annotated: int) -> None:
    repo.commit({"d/a": "1"})
    target = repo.git("rev-parse", "main:d/a" if kind == "blob" else "main:d")
    for number in range(annotated):
        repo.git("tag", "-a", "-m", "t", f"t{number}", target)
        target = repo.git("rev-parse", f"t{number}")
    repo.git("update-ref", "refs/tags/odd", target)
    for sha in (target, mirror.resolve("", "refs/tags/odd")):
        with pytest.raises(StepError, match=f"refs/tags/odd points to a .*{kind}.* not to a commit") as odd:
            mirror.fetch(sha, "refs/tags/odd")
        assert odd.value.reason is Reason.COMMIT_MISSING
