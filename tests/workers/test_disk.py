"""The reserve of disk space: a disk at the reserve is used, one byte below it is not."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.disks import fill
from workers.disk import Disk, DiskReserve, as_df_counts, disk_of
from workers.settings import Settings


def test_at_the_reserve_all_is_well_and_one_byte_below_it_is_not(own_disk: Path) -> None:
    ballast = fill(own_disk, free_bytes=2 * 1024**2)
    free = shutil.disk_usage(own_disk).free
    assert DiskReserve((own_disk,), free).problem() == ""
    assert not DiskReserve((own_disk,), free).is_low()
    low = DiskReserve((own_disk,), free + 1)
    assert low.is_low()
    assert not low.is_critical()
    assert DiskReserve((own_disk,), 2 * free).is_critical() is False
    assert DiskReserve((own_disk,), 2 * free + 2).is_critical()
    assert "has 2.0 MiB free, less than the reserve of 2.0 MiB (HEADWAY_DISK_RESERVE_BYTES)" in low.problem()
    ballast.unlink()
    assert low.problem() == ""


def test_the_reserve_is_a_tenth_of_a_small_disk_at_most(own_disk: Path) -> None:
    reserve = DiskReserve((own_disk,), 512 * 1024**2)
    tenth = shutil.disk_usage(own_disk).total // 10
    fill(own_disk, free_bytes=tenth + 4_096)  # a page
    assert reserve.problem() == ""
    fill(own_disk, free_bytes=tenth - 4_096)
    assert "less than the reserve of 6.4 MiB" in reserve.problem()


def test_each_of_the_disks_is_looked_at_and_one_that_is_not_there_yet_is_no_problem(
    own_disk: Path, tmp_path: Path
) -> None:
    fill(own_disk)
    assert DiskReserve((tmp_path, tmp_path / "not there"), 1024**2).problem() == ""
    assert DiskReserve((tmp_path, own_disk), 1024**2).is_low()


def test_the_disks_of_data_blobs_and_checkouts_are_looked_at(own_disk: Path, tmp_path: Path) -> None:
    for name in ("blobs", "workspaces"):
        data = tmp_path / f"data of {name}"
        data.mkdir()
        (data / name).symlink_to(own_disk)
        assert Settings(data_dir=data).disk_reserve.problem() == ""
    ballast = fill(own_disk)
    for name in ("blobs", "workspaces"):
        assert Settings(data_dir=tmp_path / f"data of {name}").disk_reserve.is_low()
    assert Settings(data_dir=own_disk).disk_reserve.is_low()
    ballast.unlink()


def test_what_is_kept_for_root_is_neither_free_nor_used() -> None:
    blocks, free, free_for_users, files, free_files = 100, 70, 10, 50, 20
    found = os.statvfs_result((4096, 4096, blocks, free, free_for_users, files, free_files, free_files, 0, 255))
    assert as_df_counts(found) == Disk(40 * 4096, 10 * 4096, 50, 20)


def test_a_disk_is_as_full_as_df_says(own_disk: Path) -> None:
    found = subprocess.run(["df", "-B1", "--output=used,avail", own_disk], capture_output=True, text=True, check=True)
    used, free = map(int, found.stdout.splitlines()[1].split())
    disk = disk_of(own_disk)
    assert (disk.total_bytes - disk.free_bytes, disk.free_bytes) == (used, free)
