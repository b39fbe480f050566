"""Lists of changed files have a limit: at it they are complete, one past it there is none."""

import json
from dataclasses import replace
from functools import partial

import pytest

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.git import run_git
from runner.source.git.limited_git import GitLimits, TooMuchOutputError
from runner.source.mirrors.changed_files import FILES_MAX, ListLimits
from runner.source.mirrors.mirror import Mirror
from runner.source.tree_entries import names_in
from tests.support.repos import Repo

NAMES = ("a", "b/\x01\n", "\u00e4")


@pytest.fixture
def sha(repo: Repo, mirror: Mirror) -> str:
    sha = repo.commit(dict.fromkeys(NAMES, "1"))
    mirror.fetch(sha)
    return sha


@pytest.mark.parametrize("compared", [False, True])
def test_at_the_limit_all_are_listed_and_one_past_it_none_is(
    repo: Repo, mirror: Mirror, sha: str, *, compared: bool
) -> None:
    previous = ""
    if compared:
        previous, sha = sha, repo.commit({}, sha)
        mirror.fetch(sha, "", previous)
    json_bytes = len(json.dumps(NAMES, ensure_ascii=False, separators=(",", ":")).encode())
    limits = ListLimits(files_max=3, json_bytes_max=json_bytes)
    assert set(mirror.changed_files(sha, previous, limits) or ()) == set(NAMES)
    assert mirror.changed_files(sha, previous, replace(limits, files_max=2)) is None
    assert mirror.changed_files(sha, previous, replace(limits, json_bytes_max=json_bytes - 1)) is None


def test_the_list_has_as_many_files_as_the_limit_says(repo: Repo, mirror: Mirror) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", data=b"x")
    shas = []
    for count in (FILES_MAX, FILES_MAX + 1):
        tree = repo.git("mktree", data="".join(f"100644 blob {blob}\tf{n}\n" for n in range(count)).encode())
        shas.append(repo.git("commit-tree", tree, "-m", "many"))
        repo.git("update-ref", "refs/heads/main", shas[-1])
        mirror.fetch(shas[-1])
    assert len(mirror.changed_files(shas[0], "") or ()) == FILES_MAX
    assert mirror.changed_files(shas[1], "") is None


def test_a_list_that_takes_too_long_or_too_much_memory_is_none(repo: Repo, mirror: Mirror) -> None:
    """Four trees that name each other have 160,000 files, which git keeps before it prints the first."""
    kind, known = "100644 blob", repo.git("hash-object", "-w", "--stdin", data=b"x")
    for _ in range(4):
        entries = "".join(f"{kind} {known}\tfolder-{number}\n" for number in range(20))
        kind, known = "040000 tree", repo.git("mktree", data=entries.encode())
    sha = repo.git("commit-tree", known, "-m", "many")
    repo.git("update-ref", "refs/heads/main", sha)
    mirror.fetch(sha)
    enough = ListLimits(files_max=200_000, json_bytes_max=50_000_000)
    assert len(mirror.changed_files(sha, "", enough) or ()) == 160_000
    assert mirror.changed_files(sha, "", replace(enough, seconds_max=0)) is None
    assert mirror.changed_files(sha, "", replace(enough, memory_bytes_max=16 * 1024**2)) is None


def test_another_failure_of_git_stays_one(mirror: Mirror, sha: str) -> None:
    """Else a damaged mirror would look like a large commit."""
    (mirror.path / "HEAD").unlink()
    assert set(mirror.changed_files(sha, "") or ()) == set(NAMES)
    with pytest.raises(StepError) as caught:
        Mirror(mirror.path.parent, f"file://{mirror.path}-gone").changed_files(sha, "")
    assert caught.value.reason in {Reason.CLONE_FAILED, Reason.COMMIT_MISSING}


def test_a_tree_has_a_limit_at_which_it_is_listed(mirror: Mirror, sha: str) -> None:
    size_bytes = len(mirror.tree(sha))
    assert len(mirror.tree(sha, size_bytes)) == size_bytes
    with pytest.raises(TooMuchOutputError):
        mirror.tree(sha, size_bytes - 1)


def test_a_folder_has_a_limit_of_names(repo: Repo, sha: str) -> None:
    git = partial(run_in, repo)
    names_bytes = len(git("ls-tree", "-z", "--name-only", sha, limits=None))
    assert set(names_in(git, sha, names_bytes)) == {"a", "b", "\u00e4"}
    with pytest.raises(
        StepError, match=f"a folder for pipeline files, has more than {names_bytes - 1} bytes"
    ) as caught:
        names_in(git, sha, names_bytes - 1)
    assert caught.value.reason is Reason.INVALID_PIPELINE


def run_in(repo: Repo, *arguments: str, limits: GitLimits | None) -> bytes:
    return run_git(["git", "--git-dir", str(repo.path), *arguments], limits=limits)
