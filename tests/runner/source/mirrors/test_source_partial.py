"""A mirror begins with what the first run needs, and gets the rest when a checkout wants it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from runner.source.mirrors.mirror import Mirror
from tests.e2e import private
from tests.runner.source.test_source import in_checkout
from tests.support.git_server import git_server
from tests.support.repos import Repo

pytestmark = pytest.mark.slow


def commits_in(mirror: Mirror) -> int:
    command = ["git", "--git-dir", str(mirror.path), "rev-list", "--all", "--count"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def history(repo: Repo, length: int, ref: str = "refs/heads/main") -> list[str]:
    """So many commits, of which each changes a file of its own."""
    shas: list[str] = []
    for number in range(length):
        shas.append(repo.commit({f"f{each}": "x" for each in range(number + 1)}, *shas[-1:], ref=ref))
    return shas


@pytest.fixture(params=["file", "http"])
def served(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> Iterator[Mirror]:
    if request.param == "file":
        yield Mirror(tmp_path / "mirrors", repo.url)
        return
    with git_server(repo.path.parent) as server:
        yield Mirror(tmp_path / "mirrors", f"{server.url}/{repo.path.name}")


def test_only_the_commit_and_its_parent_come_at_first(repo: Repo, served: Mirror) -> None:
    shas = history(repo, 6)
    served.fetch(shas[-1], "refs/heads/main")
    assert commits_in(served) == 2
    assert served.changed_files(shas[-1], "") == ("f5",)


def test_what_a_push_is_compared_with_comes_too(repo: Repo, served: Mirror) -> None:
    shas = history(repo, 6)
    served.fetch(shas[-1], "refs/heads/main", shas[1])
    assert set(served.changed_files(shas[-1], shas[1]) or ()) == {"f2", "f3", "f4", "f5"}


def test_a_previous_commit_that_is_gone_does_no_harm(repo: Repo, served: Mirror) -> None:
    shas = history(repo, 3)
    served.fetch(shas[-1], "refs/heads/main", "1" * 40)
    assert served.changed_files(shas[-1], "1" * 40) == ("f2",)


def test_the_parent_of_a_commit_can_be_run_as_well(repo: Repo, served: Mirror) -> None:
    shas = history(repo, 4)
    served.fetch(shas[3])
    served.fetch(shas[2])
    assert served.changed_files(shas[2], "") == ("f2",)


def test_a_server_that_gives_out_no_commits_by_their_ids(repo: Repo, tmp_path: Path) -> None:
    """The first version of the protocol, as old servers speak it."""
    shas = history(repo, 4)
    repo.commit({"a": "1"}, ref="refs/heads/other")
    with git_server(repo.path.parent) as server:
        server.protocol = ""
        mirror = Mirror(tmp_path / "mirrors", f"{server.url}/{repo.path.name}")
        mirror.fetch(shas[-1], "refs/heads/main")
        assert commits_in(mirror) == 2
        mirror.fetch(shas[0], "refs/heads/main")
        assert mirror.changed_files(shas[0], "") == ("f0",)


def test_a_server_that_only_hands_out_files(repo: Repo, tmp_path: Path) -> None:
    shas = history(repo, 4)
    repo.git("update-server-info")
    with private.served(repo.path.parent) as url:
        login = url.replace("://", f"://{private.USER}:open%20sesame;%20really@")
        mirror = Mirror(tmp_path / "mirrors", f"{login}/{repo.path.name}")
        mirror.fetch(shas[1], "refs/heads/main", shas[0])
        mirror.checkout(shas[1], tmp_path / "checkout", Checkout(depth=0, tags=True))
    assert mirror.changed_files(shas[1], shas[0]) == ("f1",)
    assert in_checkout(tmp_path / "checkout", "rev-list", "--count", "HEAD") == "2"


@pytest.mark.parametrize(("depth", "count"), [(1, 1), (2, 2), (3, 3), (0, 6)])
def test_a_checkout_gets_as_much_history_as_it_wants(
    repo: Repo, served: Mirror, tmp_path: Path, depth: int, count: int
) -> None:
    shas = history(repo, 6)
    served.fetch(shas[-1], "refs/heads/main")
    served.checkout(shas[-1], tmp_path / "checkout", Checkout(depth=depth))
    assert in_checkout(tmp_path / "checkout", "rev-list", "--count", "HEAD") == str(count)
    assert in_checkout(tmp_path / "checkout", "status", "--porcelain") == ""
    in_checkout(tmp_path / "checkout", "fsck", "--strict")


def test_history_that_was_wanted_once_comes_with_the_next_commit(repo: Repo, served: Mirror, tmp_path: Path) -> None:
    shas = history(repo, 4)
    served.fetch(shas[-1])
    served.checkout(shas[-1], tmp_path / "first", Checkout(depth=0))
    for each in range(3):
        shas.append(repo.commit({"g": str(each)}, shas[-1]))
    served.fetch(shas[-1])
    repo.path.rename(repo.path.with_suffix(".gone"))
    served.checkout(shas[-1], tmp_path / "second", Checkout(depth=0))
    assert in_checkout(tmp_path / "second", "rev-list", "--count", "HEAD") == "7"


def test_history_of_a_pull_request_is_whole_too(repo: Repo, served: Mirror, tmp_path: Path) -> None:
    shas = history(repo, 3, ref="refs/pull/1/head")
    served.fetch(shas[-1], "refs/pull/1/head")
    others = history(repo, 5)
    served.fetch(others[-1])
    served.checkout(others[-1], tmp_path / "main", Checkout(depth=0))
    shas.append(repo.commit({"g": "1"}, shas[-1], ref="refs/pull/1/head"))
    served.fetch(shas[-1], "refs/pull/1/head")
    served.checkout(shas[-1], tmp_path / "pull", Checkout(depth=0))
    assert in_checkout(tmp_path / "pull", "rev-list", "--count", "HEAD") == "4"


def test_a_tag_that_is_newer_than_its_commit_here_is_found(repo: Repo, served: Mirror, tmp_path: Path) -> None:
    shas = history(repo, 4)
    served.fetch(shas[-1])
    repo.git("update-ref", "refs/tags/v1", shas[1])
    served.checkout(shas[-1], tmp_path / "checkout", Checkout(depth=0, tags=True))
    assert in_checkout(tmp_path / "checkout", "describe", "--tags").startswith("v1-2-g")


def test_the_beginning_of_an_old_commits_id_is_enough(repo: Repo, served: Mirror) -> None:
    shas = history(repo, 5)
    assert served.resolve(shas[-1][:12], "refs/heads/main") == shas[-1]
    assert served.resolve(shas[0][:12], "refs/heads/main") == shas[0]


def test_a_merge_is_compared_with_both_parents(repo: Repo, served: Mirror) -> None:
    base = history(repo, 3)[-1]
    left = repo.commit({"a": "1"}, base)
    right = repo.commit({"b": "1"}, base, ref="refs/heads/x")
    merge = repo.commit({"a": "1", "b": "1"}, left, right)
    served.fetch(merge)
    assert {"a", "b"} <= set(served.changed_files(merge, "") or ())
    assert served.changed_files(merge, left) == ("b",)
