"""The running jobs of this machine: a locked file for each, by which others notice that a worker process has died.

The kernel releases the lock of a file at the moment in which its process ends, however it ends. So a process that
gets the lock knows for certain that nothing of the other one writes any more. A file that is left without a lock says
that its job can be taken over (``workers.jobs.takeovers.takeover``). All workers with the same data directory share
the folder.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog

from workers.store.jobs.takeovers import Abandoned

_log = structlog.get_logger()
_RECORD_BYTES_MAX = 64 * 1024
_UNFINISHED = "."
_LOCK_TRIES, _LOCK_PAUSE_S = 10, 0.01


@dataclass(frozen=True)
class HeldJob:
    """What the file says: whose job it is, how often its process died, and whether it was stopped on purpose."""

    job_id: int
    attempt: int
    owner: str
    deaths: int = 0
    handed_over: bool = False

    @property
    def abandoned(self) -> Abandoned:
        """The job, for the one that takes it over."""
        return Abandoned(self.job_id, self.attempt, self.owner)


class JobLock:
    """The locked file of a job that this process runs. The lock ends with the file, or with the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def fileno(self) -> int:
        """For flock."""
        return self._descriptor

    def read(self) -> HeldJob | None:
        """What the file says; None where its last process died while it wrote that."""
        return _read(self._descriptor)

    def write(self, held: HeldJob) -> None:
        """Replaces what the file says. Raises OSError."""
        data = json.dumps(asdict(held)).encode()
        os.pwrite(self._descriptor, data, 0)
        os.ftruncate(self._descriptor, len(data))

    def remove(self) -> None:
        """Removes the file: nothing is left to be taken over."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Releases the lock, and leaves the file."""
        os.close(self._descriptor)


class RunningJobs:
    """The files in ``folder``. For one process, which runs one job at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine: JobLock | None = None

    @contextmanager
    def hold(self, name: str, held: HeldJob) -> Iterator[None]:
        """Locks the file ``name`` for the block. Without it, on a full disk, no process can take the job over."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._mine = _made(self._folder, name, held)
        except OSError as error:
            _log.warning("if this process dies, its job starts over", job=held.job_id, error=str(error))
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def take(self, name: str) -> Iterator[JobLock | None]:
        """The lock of a process that has died, for the time of the block; None where another process has it.

        The file is removed at the end, unless that is an error.
        """
        try:
            self._mine = _locked(self._folder / name)
        except OSError:
            self._mine = None
        try:
            yield self._mine
        except BaseException:
            # The file stays, so that another process can try.
            if self._mine:
                self._mine.close()
            self._mine = None
            raise
        self._release()

    def _release(self) -> None:
        mine, self._mine = self._mine, None
        if mine:
            mine.remove()

    def mark_handed_over(self) -> None:
        """Called by a process that ends now, and leaves its job to another one."""
        if self._mine and (held := self._mine.read()):
            with suppress(OSError):
                self._mine.write(replace(held, handed_over=True))

    def abandoned(self) -> list[str]:
        """The names of the files whose process has died."""
        try:
            return [path.name for path in self._folder.iterdir() if path.name[0] != _UNFINISHED and is_free(path)]
        except OSError:
            return []

    def handed_over(self) -> list[HeldJob]:
        """The jobs that processes have left to others."""
        found = (self.read(name) for name in self.abandoned())
        return [held for held in found if held and held.handed_over]

    def read(self, name: str) -> HeldJob | None:
        """What the file says; None where it is gone, or says nothing."""
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return _read(descriptor)
        finally:
            os.close(descriptor)


def is_free(path: Path) -> bool:
    """True if no process has the lock of the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _made(folder: Path, name: str, held: HeldJob) -> JobLock:
    """A new file, which gets its name when it is locked: it is never seen without the lock. Raises OSError."""
    unfinished = folder / f"{_UNFINISHED}{name}-{os.getpid()}"
    lock = JobLock(folder / name, os.open(unfinished, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o600))
    try:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        lock.write(held)
        unfinished.rename(folder / name)
    except OSError:
        lock.close()
        unfinished.unlink(missing_ok=True)
        raise
    return lock


def _locked(path: Path) -> JobLock | None:
    """The file, locked for this process; None where another one has it, or has removed it. Raises OSError."""
    lock = JobLock(path, os.open(path, os.O_RDWR | os.O_CLOEXEC))
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock.fileno()).st_ino == path.stat().st_ino:
                return lock
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)  # a look of another process lasts a moment
            continue
        except OSError:
            pass  # the file has been removed
        break
    lock.close()
    return None


def _read(descriptor: int) -> HeldJob | None:
    try:
        return HeldJob(**json.loads(os.pread(descriptor, _RECORD_BYTES_MAX, 0)))
    except (OSError, ValueError, TypeError):
        return None
