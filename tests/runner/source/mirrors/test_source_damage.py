"""Mirrors that were killed, damaged, or used by many."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError
from runner.source.mirrors.mirror import Mirror
from runner.source.mirrors.mirror_store import MirrorStore, tidy_mirrors
from tests.runner.source.test_source import in_checkout, repo_refs
from tests.support.engine import eventually
from tests.support.git_server import git_server
from tests.support.repos import Repo

pytestmark = pytest.mark.slow


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def noted(tmp_path: Path, repo: Repo, notes: list[str]) -> Mirror:
    return Mirror(tmp_path / "mirrors", repo.url, warn=notes.append)


def objects(mirror: Mirror) -> list[Path]:
    return [path for path in (mirror.path / "objects").rglob("*") if path.is_file()]


def spoil(path: Path) -> None:
    """Half of the bytes become others, as after a power cut."""
    path.chmod(0o644)
    text = path.read_bytes()
    path.write_bytes(text[: len(text) // 2].ljust(len(text), b"\0"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_mirror_with_spoiled_objects_is_fetched_again(
    repo: Repo, noted: Mirror, notes: list[str], tmp_path: Path, packed: bool
) -> None:
    sha = repo.commit({"a": "1" * 5_000, "b": "".join(map(str, range(3_000)))})
    noted.fetch(sha)
    if packed:
        subprocess.run(["git", "--git-dir", str(noted.path), "repack", "-adq"], check=True)
    for path in objects(noted):
        if path.suffix != ".idx":
            spoil(path)
    noted.checkout(sha, tmp_path / "checkout", Checkout())
    assert (tmp_path / "checkout/a").read_text() == "1" * 5_000
    assert "damaged" in notes[0]


@pytest.mark.parametrize("read", [
    lambda mirror, sha: mirror.commit(sha).message == "a message",
    lambda mirror, sha: mirror.files(sha) == ["a"],
    lambda mirror, sha: mirror.read(sha, "a") == b"1",
    lambda mirror, sha: mirror.changed_files(sha, "") == ("a",),
])  # fmt: skip
def test_whatever_is_read_of_a_damaged_mirror_is_right(
    repo: Repo, noted: Mirror, notes: list[str], read: Callable[[Mirror, str], bool]
) -> None:
    sha = repo.commit({"a": "1"})
    noted.fetch(sha)
    for path in objects(noted):
        path.unlink()
    noted.fetch(sha)
    assert read(noted, sha)
    for path in objects(noted):
        path.unlink()
    assert read(noted, sha)
    assert notes


@pytest.mark.parametrize("name", ["config", "packed-refs", "HEAD", "refs/headway/{sha}"])
def test_a_file_of_gits_own_that_holds_nonsense(repo: Repo, noted: Mirror, name: str) -> None:
    first = repo.commit({"a": "1"})
    noted.fetch(first)
    (noted.path / name.format(sha=first)).write_bytes(b"\0\0nonsense\n")
    second = repo.commit({"a": "2"}, first)
    noted.fetch(second)
    assert noted.read(second, "a") == b"2"


def test_locks_of_a_git_that_was_killed_do_not_stay(repo: Repo, noted: Mirror, notes: list[str]) -> None:
    first = repo.commit({"a": "1"})
    noted.fetch(first)
    second = repo.commit({"a": "2"}, first)
    for name in ("shallow.lock", "packed-refs.lock", f"refs/headway/{second}.lock"):
        (noted.path / name).touch()
    noted.fetch(second)
    assert noted.read(second, "a") == b"2"
    assert "locks" in notes[0]


def test_a_server_that_is_away_costs_no_mirror(repo: Repo, noted: Mirror, notes: list[str]) -> None:
    noted.fetch(repo.commit({"a": "1"}))
    inode = noted.path.stat().st_ino
    repo.path.rename(repo.path.with_suffix(".gone"))
    with pytest.raises(MachineError) as gone:
        noted.fetch("1" * 40)
    assert gone.value.reason is Reason.CLONE_FAILED
    assert (noted.path.stat().st_ino, notes) == (inode, [])


def test_a_fetch_that_is_killed_in_the_middle_is_begun_again(repo: Repo, tmp_path: Path) -> None:
    sha = repo.commit({"big": os.urandom(3_000_000)})
    with git_server(repo.path.parent) as server:
        server.hold = threading.Event()
        url = f"{server.url}/{repo.path.name}"
        code = "import sys; from pathlib import Path; from runner.source.mirrors.mirror import Mirror\n"
        code += "Mirror(Path(sys.argv[1]), sys.argv[2]).fetch(sys.argv[3])\n"
        command = [sys.executable, "-c", code, str(tmp_path / "mirrors"), url, sha]
        process = subprocess.Popen(command, start_new_session=True)
        mirror = Mirror(tmp_path / "mirrors", url)
        try:
            eventually(lambda: list(mirror.path.glob("objects/pack/tmp_pack_*")))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            server.hold.set()
        mirror.fetch(sha)
    assert mirror.has(sha)


def test_a_commit_that_is_here_does_not_wait_for_another_fetch(repo: Repo, mirror: Mirror, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    mirror.fetch(sha)
    with MirrorStore(mirror.path, print).fetching():
        mirror.fetch(sha)
        mirror.checkout(sha, tmp_path / "checkout", Checkout())
    assert (tmp_path / "checkout/a").read_text() == "1"


def test_ids_of_the_longer_kind(tmp_path: Path) -> None:
    repo = Repo.__new__(Repo)
    repo.path = tmp_path / "long.git"
    repo.git("init", "--quiet", "--bare", "--object-format=sha256", str(repo.path), at=False)
    sha = repo.commit({"a": "1"}, repo.commit({"a": "0"}))
    mirror = Mirror(tmp_path / "mirrors", f"file://{repo.path}")
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout())
    assert in_checkout(tmp_path / "checkout", "rev-parse", "HEAD") == sha
    assert in_checkout(tmp_path / "checkout", "status", "--porcelain") == ""


def test_a_repository_that_changed_to_longer_ids(repo: Repo, noted: Mirror) -> None:
    noted.fetch(repo.commit({"a": "1"}))
    subprocess.run(["rm", "-r", str(repo.path)], check=True)
    repo.git("init", "--quiet", "--bare", "--object-format=sha256", str(repo.path), at=False)
    sha = repo.commit({"a": "2"})
    noted.fetch(sha)
    assert noted.read(sha, "a") == b"2"


def test_tidying_forgets_the_oldest_commits(repo: Repo, mirror: Mirror) -> None:
    shas: list[str] = []
    for day in range(4):
        tree = repo.tree({"a": str(day)})
        shas.append(repo.git("commit-tree", tree, data=b"m\n", GIT_COMMITTER_DATE=f"{1700000000 + day} +0000"))
        repo.git("update-ref", f"refs/heads/b{day}", shas[-1])
        mirror.fetch(shas[-1])
    (mirror.path / "objects/pack").mkdir(exist_ok=True)
    (mirror.path / "objects/pack/tmp_pack_killed").touch()
    MirrorStore(mirror.path, print).tidy(commits_kept=2)
    assert {line.rpartition("/")[2] for line in repo_refs(mirror)} == set(shas[2:])
    assert not (mirror.path / "objects/pack/tmp_pack_killed").exists()
    mirror.fetch(shas[0])
    assert mirror.read(shas[0], "a") == b"0"


def test_maintenance_skips_a_locked_mirror_and_stops_for_a_job(repo: Repo, mirror: Mirror) -> None:
    mirror.fetch(repo.commit({"a": "1"}))
    marker = mirror.path.with_suffix(".tidied")
    tidy_mirrors(mirror.path.parent, print, lambda: True)
    with MirrorStore(mirror.path, print).reading():
        tidy_mirrors(mirror.path.parent, print, lambda: False)
    assert not marker.exists()
    tidy_mirrors(mirror.path.parent, print, lambda: False)
    assert marker.exists()
