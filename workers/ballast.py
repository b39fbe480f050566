"""Ballast: a file that takes up room on the data directory's disk, and is given up when something has filled the disk.

Then the database, lease renewals and webhooks can be written at once, while the job that filled the disk is ended.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workers.disk import disk_of

BALLAST_BYTES = 32 * 1024**2
_PART_MAX = 20  # of a small disk it is a twentieth at most
_NAME = "ballast"
_PIECE_BYTES = 1024**2
_ABANDONED_S = 60.0


@dataclass(frozen=True)
class Ballast:
    """The ballast in ``folder``. Every process on this machine may give it up, and make it again."""

    folder: Path

    @property
    def path(self) -> Path:
        """The file. It does not exist while its room is needed."""
        return self.folder / _NAME

    def give_up(self) -> bool:
        """Frees its room. False where it has been given up before. Raises OSError."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def restore(self, reserve_bytes: int) -> bool:
        """Makes the file if it is missing, and ``reserve_bytes`` stay free beside it. Raises OSError.

        Idempotent, also for several processes at the same time. True where it has been made.
        """
        disk = disk_of(self.folder)
        size = min(BALLAST_BYTES, disk.total_bytes // _PART_MAX)
        if disk.free_bytes < disk.reserve_bytes(reserve_bytes) + size or self.path.exists():
            return False
        new = self.folder / f".{_NAME}-{os.getpid()}"
        try:
            _take_up(new, size)
            new.rename(self.path)
        finally:
            new.unlink(missing_ok=True)
        _remove_abandoned(self.folder)
        return True


def _take_up(path: Path, size: int) -> None:
    """Writes bytes that no file system compresses or leaves out."""
    with open(path, "wb", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.writelines(os.urandom(_PIECE_BYTES) for _ in range(size // _PIECE_BYTES))
        file.write(os.urandom(size % _PIECE_BYTES))


def _remove_abandoned(folder: Path) -> None:
    """What a process left that was killed while it made the file."""
    for path in folder.glob(f".{_NAME}-*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
