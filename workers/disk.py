"""The reserve of disk space that Headway leaves for its database: below it, workers take no job and logs stop."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESERVE_BYTES_MIN = 1024**2
_MIB = 1024**2
_PART_MAX = 10  # the reserve is a tenth of a small disk at most


@dataclass(frozen=True)
class DiskReserve:
    """The space that is to stay free on the disks of ``folders``."""

    folders: Sequence[Path]
    reserve_bytes: int

    def problem(self) -> str:
        """A sentence where less than the reserve is free, or a disk does not answer; empty where all is well."""
        return self._first_problem(self.reserve_bytes, 1)

    def is_low(self) -> bool:
        """True where less than the reserve is free."""
        return bool(self.problem())

    def is_critical(self) -> bool:
        """True where less than half of the reserve is free: what fills the disk must be stopped."""
        return bool(self._first_problem(self.reserve_bytes, 2))

    def _first_problem(self, reserve_bytes: int, parts: int) -> str:
        return next(filter(None, (_problem_of(folder, reserve_bytes, parts) for folder in self.folders)), "")


def _problem_of(folder: Path, reserve_bytes: int, parts: int) -> str:
    """What is wrong with the disk of ``folder``: it has less free than one of so many ``parts`` of the reserve."""
    try:
        disk = shutil.disk_usage(folder)
    except FileNotFoundError:
        return ""  # it is made when it is needed, in a folder that is looked at, too
    except OSError as error:
        return f"The disk of the data directory cannot be used: {error.strerror}."
    reserve = min(reserve_bytes, disk.total // _PART_MAX)
    if disk.free * parts >= reserve:
        return ""
    free = f"{disk.free / _MIB:,.1f} MiB free, less than the reserve of {reserve / _MIB:,.1f} MiB"
    return f"The disk of the data directory has {free} (HEADWAY_DISK_RESERVE_BYTES). Make room on it."
