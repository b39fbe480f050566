"""Mirrors that no job uses are removed; one that is used is not, also if the job comes at the same moment."""

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from runner.source.mirrors.mirror import Mirror
from runner.source.mirrors.mirror_removal import finish_removals, in_use, remove_mirror, stored_mirrors
from runner.source.mirrors.mirror_store import MirrorStore
from tests.support.repos import Repo
from tests.support.services import eventually


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def made(tmp_path: Path) -> Mirror:
    repo = Repo(tmp_path / "remote.git")
    mirror = Mirror(tmp_path / "mirrors", repo.url)
    mirror.fetch(repo.commit({"a": "1"}))
    (mirror.path.with_suffix(".lfs") / "aa").mkdir(parents=True)
    mirror.path.with_suffix(".tidied").touch()
    return mirror


def test_a_mirror_is_removed_and_its_locks_only_with_its_repository(tmp_path: Path) -> None:
    mirror = made(tmp_path)
    folder, name = mirror.path.parent, mirror.path.stem
    assert [each.name for each in stored_mirrors(folder)] == [name]
    assert remove_mirror(folder, name)
    assert names(folder) == [f"{name}.{end}" for end in ("lock", "read", "used")]
    assert remove_mirror(folder, name, forever=True)
    assert names(folder) == []
    assert stored_mirrors(tmp_path / "none") == []


@pytest.mark.parametrize("name", ["lost+found", ".git", "notes.git", ".removed-by-me", f"{'a' * 24}.removed-by-me"])
def test_what_is_no_mirror_is_neither_listed_nor_removed(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "kept").mkdir(parents=True)
    finish_removals(tmp_path)
    assert stored_mirrors(tmp_path) == []
    assert (tmp_path / name / "kept").exists()


def test_a_link_in_place_of_a_mirror_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    folder, name = tmp_path / "mirrors", "a" * 24
    kept = tmp_path / "elsewhere" / "kept"
    kept.mkdir(parents=True)
    folder.mkdir()
    (folder / f"{name}.git").symlink_to(kept.parent)
    (folder / f"{name}.removed-{'b' * 8}").symlink_to(kept.parent)
    finish_removals(folder)
    assert remove_mirror(folder, name, forever=True)
    assert kept.exists()


def test_a_mirror_that_a_job_a_fetch_or_a_reader_uses_stays(tmp_path: Path) -> None:
    mirror = made(tmp_path)
    folder, name = mirror.path.parent, mirror.path.stem
    store = MirrorStore(mirror.path, print)
    for use in (in_use(mirror.path), store.fetching(), store.reading()):
        with use:
            assert not remove_mirror(folder, name, forever=True)
        assert mirror.path.exists()
    assert not remove_mirror(folder, name, idle_s=60), "it was used a moment ago"
    hour_ago_s = time.time() - 3600
    os.utime(mirror.path.with_suffix(".used"), (hour_ago_s, hour_ago_s))
    assert stored_mirrors(folder)[0].used_s < time.time()
    assert remove_mirror(folder, name, idle_s=60)


def opened(path: Path) -> int:
    """How often this process has the file open."""
    return sum(os.path.realpath(each) == str(path) for each in Path("/proc/self/fd").iterdir())


def test_a_job_that_waits_for_a_removal_gets_a_lock_that_counts(tmp_path: Path) -> None:
    folder = tmp_path / "mirrors"
    folder.mkdir()
    used, entered, leave = folder / "m.used", threading.Event(), threading.Event()

    def job() -> None:
        with in_use(folder / "m.git"):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=job)
    with used.open("a") as removal:
        fcntl.flock(removal, fcntl.LOCK_EX)
        thread.start()
        eventually(lambda: opened(used) == 2)
        used.unlink()
    assert entered.wait(10)
    assert used.exists(), "the file that the job holds is the one that others find"
    assert not remove_mirror(folder, "m", forever=True)
    leave.set()
    thread.join(10)
    assert remove_mirror(folder, "m", forever=True)


def test_an_interrupted_removal_is_finished(tmp_path: Path) -> None:
    left = tmp_path / f"{'a' * 24}.removed-0123abcd" / "m.git"
    left.mkdir(parents=True)
    assert stored_mirrors(tmp_path) == []
    finish_removals(tmp_path)
    finish_removals(tmp_path / "none")
    assert names(tmp_path) == []
