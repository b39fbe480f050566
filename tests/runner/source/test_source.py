"""Mirrors and checkouts, on real git."""

import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.mirrors.mirror import Mirror
from tests.support.engine import eventually
from tests.support.repos import Repo

pytestmark = pytest.mark.slow


def in_checkout(target: Path, *arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(target), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_commit_is_fetched_only_when_it_is_not_here(repo: Repo, mirror: Mirror) -> None:
    sha = repo.commit({"a": "1"})
    mirror.fetch(sha)
    repo.path.rename(repo.path.with_suffix(".gone"))
    mirror.fetch(sha)
    assert mirror.has(sha)
    with pytest.raises(MachineError) as gone:
        mirror.fetch("0" * 39 + "1")
    assert gone.value.reason is Reason.CLONE_FAILED
    assert str(repo.path) in str(gone.value)


def test_new_commits_are_fetched_when_they_are_asked_for(repo: Repo, mirror: Mirror) -> None:
    first = repo.commit({"a": "1"})
    mirror.fetch(first)
    second = repo.commit({"a": "2"}, first)
    assert not mirror.has(second)
    mirror.fetch(second)
    assert mirror.read(second, "a") == b"2"


def test_a_commit_on_no_branch_is_fetched_by_its_ref_or_its_id(repo: Repo, mirror: Mirror) -> None:
    pull = repo.commit({"a": "1"}, ref="refs/pull/7/head")
    loose = repo.commit({"a": "2"}, ref="")
    mirror.fetch(pull, "refs/pull/7/head")
    mirror.fetch(loose)
    assert mirror.has(pull)
    assert mirror.has(loose)


def test_a_force_push_and_a_deleted_branch_do_no_harm(repo: Repo, mirror: Mirror) -> None:
    old = repo.commit({"a": "1"}, ref="refs/heads/a")
    mirror.fetch(old)
    repo.git("update-ref", "-d", "refs/heads/a")
    new = repo.commit({"b": "1"}, ref="refs/heads/a/b")
    mirror.fetch(new)
    newest = repo.commit({"b": "2"}, ref="refs/heads/a/b")
    mirror.fetch(newest)
    assert mirror.has(old)
    assert mirror.has(newest)


def test_a_commit_that_is_nowhere_says_so(repo: Repo, mirror: Mirror) -> None:
    repo.commit({"a": "1"})
    with pytest.raises(MachineError) as missing:
        mirror.fetch("1" * 40, "refs/pull/1/head")
    assert missing.value.reason is Reason.COMMIT_MISSING
    assert "1" * 40 in str(missing.value)


@pytest.mark.parametrize("sha", ["", "main", "--upload-pack=x", "1" * 39, "A" * 40, "1" * 40 + "\n"])
def test_what_is_no_commit_id_is_refused(mirror: Mirror, sha: str) -> None:
    with pytest.raises(StepError) as refused:
        mirror.fetch(sha)
    assert refused.value.reason is Reason.COMMIT_MISSING


@pytest.mark.parametrize(
    "ref", ["refs/x:refs/heads/main", "refs/*", "--all", "main", "refs/a b", "refs/a..b", "refs/\n"]
)
def test_a_ref_that_is_none_is_not_asked_for(repo: Repo, mirror: Mirror, ref: str) -> None:
    loose = repo.commit({"a": "1"}, ref="")
    mirror.fetch(loose, ref)
    assert mirror.has(loose)
    assert [line for line in repo_refs(mirror) if "headway" not in line] == []


def repo_refs(mirror: Mirror) -> list[str]:
    return subprocess.run(
        ["git", "--git-dir", str(mirror.path), "for-each-ref"], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_a_fetch_that_was_killed_half_way_is_mended(repo: Repo, mirror: Mirror) -> None:
    sha = repo.commit({"folder/a": "1"})
    mirror.fetch(repo.commit({"b": "2"}, ref="refs/heads/other"))
    # A commit without its tree: what a killed fetch leaves behind, for commits come first.
    commit = subprocess.run(
        ["git", "--git-dir", str(repo.path), "cat-file", "commit", sha], capture_output=True, check=True
    ).stdout
    broken = Repo.__new__(Repo)
    broken.path = mirror.path
    for ref in ("refs/heads/main", "refs/heads/other"):
        subprocess.run(["git", "--git-dir", str(mirror.path), "update-ref", "-d", ref], check=True)
    for path in (mirror.path / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    assert broken.git("hash-object", "-w", "-t", "commit", "--stdin", "--literally", data=commit) == sha
    assert not mirror.has(sha)
    mirror.fetch(sha)
    assert mirror.has(sha)
    assert mirror.files(sha) == ["folder"]


def test_an_empty_repository_says_that_the_commit_is_missing(mirror: Mirror) -> None:
    with pytest.raises(MachineError) as missing:
        mirror.fetch("1" * 40)
    assert missing.value.reason is Reason.COMMIT_MISSING


def test_a_checkout_is_the_commit_with_a_git_folder_of_one_commit(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    first = repo.commit({"a": "1"})
    sha = repo.commit({"a": "2", "folder/b": "3", "run!": "#!/bin/sh\n"}, first)
    mirror.fetch(sha)
    target = tmp_path / "checkout"
    mirror.checkout(sha, target, Checkout())
    mine = [path for path in target.rglob("*") if path.is_file() and ".git" not in path.parts]
    texts = {path.relative_to(target).as_posix(): path.read_text() for path in mine}
    assert texts == {"a": "2", "folder/b": "3", "run": "#!/bin/sh\n"}
    assert os.access(target / "run", os.X_OK)
    assert in_checkout(target, "rev-parse", "HEAD") == sha
    assert in_checkout(target, "rev-list", "--count", "HEAD") == "1"
    assert in_checkout(target, "status", "--porcelain") == ""


@pytest.mark.parametrize(("depth", "count"), [(1, "1"), (2, "2"), (0, "3")])
def test_the_depth_is_as_asked_for(repo: Repo, mirror: Mirror, tmp_path: Path, depth: int, count: str) -> None:
    sha = ""
    for number in range(3):
        sha = repo.commit({"a": str(number)}, *([sha] if sha else []))
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout(depth=depth))
    assert in_checkout(tmp_path / "checkout", "rev-list", "--count", "HEAD") == count


def test_tags_come_where_they_are_asked_for(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    repo.git("update-ref", "refs/tags/v1", sha)
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "with", Checkout(depth=0, tags=True))
    mirror.checkout(sha, tmp_path / "without", Checkout(depth=0))
    assert in_checkout(tmp_path / "with", "tag") == "v1"
    assert in_checkout(tmp_path / "without", "tag") == ""


def test_a_checkout_knows_nothing_of_the_mirror_and_shares_no_file_with_it(
    repo: Repo, mirror: Mirror, tmp_path: Path
) -> None:
    sha = repo.commit({"a": "1" * 10_000})
    mirror.fetch(sha)
    target = tmp_path / "checkout"
    mirror.checkout(sha, target, Checkout())
    words = [path.read_bytes() for path in (target / ".git").rglob("*") if path.is_file()]
    assert words
    assert not any(str(mirror.path).encode() in word for word in words)
    links = {path.name: path.stat().st_nlink for path in target.rglob("*") if path.is_file()}
    assert "a" in links
    assert set(links.values()) == {1}
    assert in_checkout(target, "remote", "get-url", "origin") == repo.url


def test_a_checkout_has_gits_modes_whatever_the_workers_umask(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    sha = repo.commit({"folder/a": "1", "run!": "x"})
    mirror.fetch(sha)
    for umask in (0, 0o022, 0o077):
        target = tmp_path / f"{umask:o}"
        before = os.umask(umask)
        try:
            mirror.checkout(sha, target, Checkout(), for_builds=bool(umask))
        finally:
            os.umask(before)
        modes = {name: (target / name).stat().st_mode & 0o7777 for name in (".", "folder", "folder/a", "run")}
        assert modes == {".": 0o755, "folder": 0o755, "folder/a": 0o644, "run": 0o755}
        assert [path for path in target.rglob("*") if path.stat().st_mode & 0o022] == []


def test_a_mirror_may_lie_anywhere(repo: Repo, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    mirror = Mirror(tmp_path / "it's 100%25: a\"place ü", repo.url)
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "check out", Checkout())
    assert (tmp_path / "check out/a").read_text() == "1"


def _fetch(folder: Path, url: str, shas: list[str]) -> None:
    for sha in shas:
        mirror = Mirror(folder, url)
        mirror.fetch(sha)
        assert mirror.read(sha, "a")


@pytest.mark.stress
def test_processes_that_fetch_the_same_repository_wait_for_each_other(repo: Repo, tmp_path: Path) -> None:
    shas: list[str] = []
    for number in range(10):
        shas.append(repo.commit({"a": str(number)}, *shas[-1:], ref=f"refs/heads/b{number}"))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_fetch, args=(tmp_path / "mirrors", repo.url, shas)) for _ in range(3)]
    for process in processes:
        process.start()
    eventually(lambda: all(not process.is_alive() for process in processes), within_s=60)
    assert [process.exitcode for process in processes] == [0, 0, 0]


def test_the_mirror_of_another_address_is_another_one(repo: Repo, tmp_path: Path) -> None:
    assert Mirror(tmp_path, repo.url).path != Mirror(tmp_path, repo.url + "/").path
    assert len({Mirror(tmp_path, repo.url, key=key).path for key in ("", "a", "b")}) == 3
    assert "password" not in str(Mirror(tmp_path, "https://user:password@host/a").path)
