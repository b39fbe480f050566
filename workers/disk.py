"""The reserve of disk space that Headway leaves for its database: below it, workers take no job and logs stop."""

import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

MEASURE_EVERY_S = 600.0
_REST_PER_WORK = 200  # of a processor, half a percent at most
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The errors of the operating system which say that a disk is full."""
RESERVE_BYTES_MIN = 1024**2
_MIB = 1024**2
_PART_MAX = 10  # the reserve is a tenth of a small disk at most
_RETRY_S = 0.1
T = TypeVar("T")
_RESERVE_FILES = 4_096  # and so many files, a tenth of those that fit at most


@dataclass(frozen=True)
class Disk:
    """The size of a disk, and what is free for this user. ``total_files`` is 0 where their number has no limit.

    As in ``df``, what the file system reserves for root belongs to neither.
    """

    total_bytes: int
    free_bytes: int
    total_files: int
    free_files: int

    def reserve_bytes(self, wanted: int) -> int:
        """The reserve on this disk where ``wanted`` is the setting."""
        return min(wanted, self.total_bytes // _PART_MAX)

    def too_little(self, reserve_bytes: int, parts: int = 1) -> str:
        """What there is too little of, where less than one of so many ``parts`` of the reserve is free."""
        reserve = self.reserve_bytes(reserve_bytes)
        if self.free_bytes * parts < reserve:
            return f"{self.free_bytes / _MIB:,.1f} MiB free, less than the reserve of {reserve / _MIB:,.1f} MiB"
        files = min(_RESERVE_FILES, self.total_files // _PART_MAX)
        if self.free_files * parts < files:
            return f"room for {self.free_files:,} more files, less than the reserve of {files:,} files"
        return ""


def disk_of(folder: Path) -> Disk:
    """The disk on which ``folder`` is. Raises OSError."""
    return as_df_counts(os.statvfs(folder))


def as_df_counts(found: os.statvfs_result) -> Disk:
    """A disk from what the operating system says of it."""
    total = found.f_blocks - found.f_bfree + found.f_bavail
    return Disk(total * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)


def pause_after_measuring_s(took_s: float) -> float:
    """The pause after a look at the use of disks that took so long: ten minutes, or longer where a look takes long."""
    return max(MEASURE_EVERY_S, took_s * _REST_PER_WORK)


def once_there_is_room(write: Callable[[], T], patience_s: float = 10.0) -> T:
    """Calls ``write`` again, for ``patience_s``, while the disk is full. Raises what it raises."""
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in FULL or time.monotonic() >= deadline_s:
                raise
        time.sleep(_RETRY_S)


@dataclass(frozen=True)
class DiskReserve:
    """The space that is to stay free on the disks of ``folders``."""

    folders: Sequence[Path]
    reserve_bytes: int

    def problem(self) -> str:
        """A sentence where less than the reserve is free, or a disk does not answer; empty where all is well."""
        return self._first_problem(1)

    def is_low(self) -> bool:
        """True where less than the reserve is free."""
        return bool(self.problem())

    def is_critical(self) -> bool:
        """True where less than half of the reserve is free: what fills the disk must be stopped."""
        return bool(self._first_problem(2))

    def _first_problem(self, parts: int) -> str:
        return next(filter(None, (_problem_of(folder, self.reserve_bytes, parts) for folder in self.folders)), "")


def _problem_of(folder: Path, reserve_bytes: int, parts: int) -> str:
    """What is wrong with the disk of ``folder``: it has less free than one of so many ``parts`` of the reserve."""
    try:
        little = disk_of(folder).too_little(reserve_bytes, parts)
    except FileNotFoundError:
        return ""  # it is made when it is needed, in a folder that is looked at, too
    except OSError as error:
        return f"The disk of the data directory cannot be used: {error.strerror}."
    return little and f"The disk of the data directory has {little} (HEADWAY_DISK_RESERVE_BYTES). Make room on it."
