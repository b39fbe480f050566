"""Which job fills the disk: what lies in each job's folder, and how much of it was written a short time ago."""

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

RECENT_S = 60.0
MEASURE_S_MAX = 3.0


@dataclass
class DiskUse:
    """What a job takes up. ``recent_bytes`` are in files that changed in the last minute, which no step can hide, and
    in its containers, which are no older than the job.
    """

    recent_bytes: int = 0
    total_bytes: int = 0
    largest: str = ""
    largest_bytes: int = 0

    def add_containers(self, written_bytes: int) -> None:
        """Adds what the job's containers have written."""
        self.recent_bytes += written_bytes
        self.total_bytes += written_bytes

    def rank(self) -> tuple[int, int]:
        """Of two jobs, the one that has written more in the last minute fills the disk; else the larger one."""
        return self.recent_bytes, self.total_bytes


def disk_use(folder: Path, within_s: float = MEASURE_S_MAX, now_ns: int | None = None) -> DiskUse:
    """Measures ``folder``, for ``within_s`` at most: files that it has not reached by then do not count.

    Follows no link. What vanishes meanwhile, or cannot be read, does not count.
    """
    use = DiskUse()
    deadline_s, recent_ns = time.monotonic() + within_s, (now_ns or time.time_ns()) - int(RECENT_S * 1e9)
    waiting = [str(folder)]
    while waiting and time.monotonic() < deadline_s:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    _add(use, entry, recent_ns)
        except OSError:
            continue
    use.largest = use.largest and os.path.relpath(use.largest, folder)
    return use


def _add(use: DiskUse, entry: "os.DirEntry[str]", recent_ns: int) -> None:
    found = entry.stat(follow_symlinks=False)
    # A file without content takes up room as well: a disk is full, too, when no further file fits.
    taken = max(found.st_blocks * 512, 512) // (1 if stat.S_ISDIR(found.st_mode) else max(1, found.st_nlink))
    use.total_bytes += taken
    # Of a file's times a step may set all but this one.
    if found.st_ctime_ns >= recent_ns:
        use.recent_bytes += taken
    if taken > use.largest_bytes and not stat.S_ISDIR(found.st_mode):
        use.largest, use.largest_bytes = entry.path, taken
