"""The guards of jobs on one full disk: the job that wrote most is ended, and no other."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.cleanup.discard import DISCARDED
from tests.support.disks import fill
from workers.disk import Disk, DiskReserve, disk_of
from workers.jobs.disk_guard import TURN_S, DiskGuard
from workers.jobs.machine.disk_use import disk_use

MIB = 1024**2
RESERVE = 4 * MIB


def job(own_disk: Path, name: str, size: int) -> Path:
    folder = own_disk / "workspaces" / name
    (folder / "workspace" / "src").mkdir(parents=True)
    (folder / "workspace" / "src" / "big").write_bytes(bytes(size))
    return folder


def discard(folder: Path) -> Callable[[], None]:
    def make_room() -> None:
        (folder / "workspace").rename(folder / DISCARDED)
        shutil.rmtree(folder / DISCARDED / "src")

    return make_room


def guard(folder: Path, **options: object) -> DiskGuard:
    return DiskGuard(DiskReserve((folder,), RESERVE), folder, discard(folder), **options)  # type: ignore[arg-type]


def until(seconds: float, check: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not check():
        time.sleep(0.05)


def test_the_job_that_wrote_most_is_ended_and_its_sentence_names_what_filled_the_disk(own_disk: Path) -> None:
    guilty, innocent = job(own_disk, "a-1-1", 20 * MIB), job(own_disk, "a-2-1", MIB)
    with guard(guilty) as guilty_guard, guard(innocent) as innocent_guard:
        assert guilty_guard.problem() == innocent_guard.problem() == ""
        fill(own_disk)
        until(2, guilty_guard.problem)
        assert disk_of(own_disk).free_bytes > 15 * MIB, "its files are gone when it says so"
        for words in (
            "this job filled it with 20.0 MiB in a minute",
            "the largest file is workspace/src/big with 20.0",
        ):
            assert words in guilty_guard.problem()
        assert innocent_guard.problem() == ""
    assert (innocent / "workspace/src/big").exists()


def test_half_of_the_reserve_is_enough_and_a_page_less_is_not(own_disk: Path) -> None:
    folder = job(own_disk, "a-1-1", MIB)
    only = guard(folder)
    fill(own_disk, free_bytes=RESERVE // 2)
    assert only.problem() == ""
    fill(own_disk, free_bytes=RESERVE // 2 - 4_096)
    assert "this job filled it" in only.problem()


def test_where_ending_the_first_does_not_help_the_next_is_ended_later(own_disk: Path) -> None:
    job(own_disk, "dead-1-1", 10 * MIB)  # of a dead worker: it has no guard
    folder = job(own_disk, "a-2-1", MIB)
    second = guard(folder)
    fill(own_disk)
    began_s = time.monotonic()
    assert second.problem() == ""
    until(10, second.problem)
    assert second.problem()
    assert time.monotonic() - began_s >= TURN_S


def test_while_another_worker_makes_room_no_other_job_is_ended(own_disk: Path) -> None:
    other, folder = job(own_disk, "a-1-1", 10 * MIB), job(own_disk, "a-2-1", MIB)
    (other / "workspace").rename(other / DISCARDED)
    shutil.rmtree(other / DISCARDED / "src")
    fill(own_disk)
    assert guard(folder).problem() == ""


def test_what_its_containers_wrote_counts(own_disk: Path) -> None:
    large, small = job(own_disk, "a-1-1", 10 * MIB), job(own_disk, "a-2-1", MIB)
    fill(own_disk)
    written = {"a-2-1": 20 * MIB}
    assert guard(large, written=lambda: written).problem() == ""
    assert "this job filled it with 21.0 MiB" in guard(small, written=lambda: written).problem()


def test_what_lay_there_before_counts_less_than_what_was_just_written(own_disk: Path) -> None:
    old = job(own_disk, "a-1-1", 5 * MIB)
    at = (old / "workspace/src/big").stat().st_ctime_ns
    use = disk_use(old, now_ns=at + 61 * 10**9)
    assert (use.recent_bytes, use.total_bytes >= 5 * MIB) == (0, True)
    assert disk_use(old, now_ns=at + 59 * 10**9).rank() > use.rank()
    assert use.rank() < disk_use(job(own_disk, "a-2-1", 4_096), now_ns=at + 59 * 10**9).rank()


def test_links_and_holes_and_files_without_content(own_disk: Path) -> None:
    folder = job(own_disk, "a-1-1", MIB)
    before = disk_use(folder).total_bytes
    os.link(folder / "workspace/src/big", folder / "workspace/second-name")
    (folder / "workspace/away").symlink_to("/")
    with (folder / "workspace/hole").open("wb") as file:
        file.truncate(10**9)
    assert before <= disk_use(folder).total_bytes < before + 100_000
    for number in range(1_000):
        (folder / "workspace" / f"empty-{number}").touch()
    assert disk_use(folder).recent_bytes > before + 500_000


@pytest.mark.parametrize(
    ("free", "parts", "little"), [(1_000, 1, False), (999, 1, True), (500, 2, False), (499, 2, True)]
)
def test_a_disk_without_room_for_more_files_is_full(free: int, parts: int, little: bool) -> None:
    assert bool(Disk(10**9, 10**9, 10_000, free).too_little(0, parts)) is little
    assert Disk(10**9, 10**9, 0, 0).too_little(0) == "", "some file systems have no limit"
