"""Checkouts of one commit are the same to the last byte: only then does ``COPY . .`` come from a build's cache."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from runner.source.mirrors.mirror import Mirror
from runner.source.reproducible import EARLIEST_TIME_S, LATEST_TIME_S, file_time_s, make_reproducible
from runner.source.working_tree import working_tree
from tests.support.repos import Repo

FILES = {"a": "1", "folder/b": "2\n" * 1000, "run!": "#!/bin/sh\n", "link@": "a"}
LONG_AGO_S = 1_000_000_000


def contents(folder: Path) -> dict[str, tuple[int, float, bytes]]:
    """Mode, time and bytes of all below a folder, by path: what a build's cache and its image go by."""
    return {path.relative_to(folder).as_posix(): _content(path) for path in folder.rglob("*")}


def _content(path: Path) -> tuple[int, float, bytes]:
    mode, time_s = path.lstat().st_mode, path.lstat().st_mtime
    return (
        mode,
        time_s,
        os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
    )


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder)]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 0])
def test_checkouts_for_builds_are_the_same_wherever_they_are_made(repo: Repo, tmp_path: Path, depth: int) -> None:
    sha = repo.commit({**FILES, "a": "2"}, repo.commit(FILES))
    for place in ("one", "another"):
        mirror = Mirror(tmp_path / place, repo.url)
        mirror.fetch(sha)
        mirror.checkout(sha, tmp_path / place / "checkout", Checkout(depth=depth), for_builds=True)
    assert contents(tmp_path / "one" / "checkout") == contents(tmp_path / "another" / "checkout")


@pytest.mark.slow
@pytest.mark.parametrize("for_builds", [True, False])
def test_steps_of_any_user_can_read_a_checkout_whatever_the_workers_umask(
    repo: Repo, tmp_path: Path, for_builds: bool
) -> None:
    sha = repo.commit({**FILES, "a": "2"}, repo.commit(FILES))
    found = []
    for umask in (0o022, 0o077):
        place = tmp_path / f"{umask:o}"
        before = os.umask(umask)
        try:
            mirror = Mirror(place, repo.url)
            mirror.fetch(sha)
            mirror.checkout(sha, place / "checkout", Checkout(depth=1), for_builds=for_builds)
        finally:
            os.umask(before)
        found.append(contents(place / "checkout"))
    if for_builds:
        assert found[0] == found[1]
    assert found[1].keys() >= {".git/shallow", ".git/index", ".git/HEAD", "folder/b"}
    closed = [path for path, (mode, *_) in found[1].items() if mode & 0o044 != 0o044]
    assert closed == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [Checkout(), Checkout(depth=2), Checkout(depth=0), Checkout(tags=True)])
def test_the_packing_and_the_settings_of_the_origin_change_nothing(tmp_path: Path, how: Checkout) -> None:
    folder = tmp_path / "origin"
    git(tmp_path, "init", "-q", "-b", "main", str(folder))
    text = "".join(f"{number * number}\n" for number in range(3000))
    for name in ("first", "second", "third"):
        (folder / "large").write_text(f"{text}{name}\n")
        (folder / name).write_text(name)
        git(folder, "add", ".")
        git(folder, "-c", "core.compression=0", "commit", "-qm", name)
        git(folder, "tag", name)
    sha = git(folder, "rev-parse", "HEAD")
    found, laptop = [], []
    for number, packing in enumerate(([], ["repack", "-adfq", "--depth=50"], ["gc", "-q"], ["repack", "-adFq"])):
        git(folder, "config", "core.compression", str(9 * (number % 2)))
        if packing:
            git(folder, *packing)
        mirror = Mirror(tmp_path / str(number), f"file://{folder}")
        mirror.fetch(sha)
        mirror.checkout(sha, tmp_path / str(number) / "checkout", how, for_builds=True)
        found.append(contents(tmp_path / str(number) / "checkout"))
        working_tree(folder).check_out(tmp_path / str(number) / "laptop", how, for_builds=True)
        laptop.append(contents(tmp_path / str(number) / "laptop"))
    assert found[1:] == found[:-1]
    assert laptop[1:] == laptop[:-1]
    assert {time_s for _, time_s, _ in found[0].values()} == {float(git(folder, "log", "-1", "--format=%ct"))}


@pytest.mark.slow
def test_git_works_in_a_checkout_for_builds(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    sha = repo.commit(FILES)
    repo.git("update-ref", "refs/tags/v1", sha)
    mirror.fetch(sha)
    target = tmp_path / "checkout"
    mirror.checkout(sha, target, Checkout(tags=True), for_builds=True)
    assert git(target, "describe", "--tags", "--dirty") == "v1"
    assert git(target, "status", "--porcelain") == ""
    (target / "a").write_text("9")
    assert git(target, "describe", "--tags", "--dirty") == "v1-dirty"
    git(target, "commit", "-qam", "another")
    assert git(target, "log", "--format=%s").splitlines() == ["another", "a message"]


@pytest.mark.slow
def test_the_git_folders_of_submodules_forget_too(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    sha = repo.commit(FILES)
    mirror.fetch(sha)
    for name in ("one", "another"):
        mirror.checkout(sha, tmp_path / name, Checkout())
        shutil.copytree(tmp_path / name / ".git", tmp_path / name / ".git" / "modules" / "deep" / "sub")
        os.utime(tmp_path / name / "a", (LONG_AGO_S, LONG_AGO_S))
        git(tmp_path / name, "update-index", "--refresh")
        make_reproducible(tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "another")
    assert "modules/deep/sub/index" in contents(tmp_path / "one" / ".git")


@pytest.mark.slow
def test_copies_of_a_working_folder_are_the_same_and_know_what_is_uncommitted(tmp_path: Path) -> None:
    folder = tmp_path / "50%25 mine"
    folder.mkdir()
    git(folder, "init", "-q")
    for name in ("committed", "changed"):
        (folder / name).write_text(name)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / "changed").write_text("now")
    tree = working_tree(folder)
    tree.check_out(tmp_path / "one", Checkout(), for_builds=True)
    os.utime(folder / "committed", (LONG_AGO_S, LONG_AGO_S))
    tree.check_out(tmp_path / "another", Checkout(), for_builds=True)
    assert contents(tmp_path / "one") == contents(tmp_path / "another")
    assert git(tmp_path / "one", "status", "--porcelain") == "M changed"
    assert git(tmp_path / "one", "rev-parse", "HEAD") == git(folder, "rev-parse", "HEAD")
    assert git(tmp_path / "one", "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


def test_a_folder_without_git_has_nothing_to_forget(tmp_path: Path) -> None:
    make_reproducible(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("written", "time_s"),
    [
        (f"{EARLIEST_TIME_S}\n", EARLIEST_TIME_S),
        (f"{EARLIEST_TIME_S - 1}\n", EARLIEST_TIME_S),
        ("-1\n", EARLIEST_TIME_S),
        ("\n", EARLIEST_TIME_S),
        (f"{LATEST_TIME_S}\n", LATEST_TIME_S),
        (f"{LATEST_TIME_S + 1}\n", LATEST_TIME_S),
        ("18446744073709551614\n", LATEST_TIME_S),
    ],
)
def test_a_date_that_no_file_can_have_becomes_one(written: str, time_s: int) -> None:
    assert file_time_s(written) == time_s
