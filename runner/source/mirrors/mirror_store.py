"""The folder of one mirror on the disk: its locks, the repair of damage, and the daily maintenance."""

import fcntl
import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.commit_id import object_format
from pipelines.state import Reason
from runner.source.git.git import GitError, run_git

COMMITS_KEPT = 500
TIDY_EVERY_S = 24 * 3600
LARGE_FILE_KEPT_S = 30 * 24 * 3600
_TIDY = ("-c", "gc.auto=2000", "-c", "gc.autoPackLimit=20", "-c", "gc.autoDetach=false")


def mirror_name(url: str, key: str) -> str:
    """The folder of the mirror of ``url``: another one for each ``key``."""
    return f"{hashlib.sha256((f'{key} {url}' if key else url).encode()).hexdigest()[:24]}.git"


class MirrorStore:
    """One fetch runs at a time. Readers do not wait for it. Only what deletes objects waits for fetches and readers."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self.path = path
        self._warn = warn
        self._fetch_lock = path.with_suffix(".lock")
        self._read_lock = path.with_suffix(".read")
        self._whole = path / "headway-whole"
        self.lfs = path.with_suffix(".lfs")

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """Holds the lock for fetches: only one process has it."""
        with _locked(self._fetch_lock, fcntl.LOCK_EX):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Holds the shared lock for readers: nothing is deleted meanwhile."""
        with _locked(self._read_lock, fcntl.LOCK_SH):
            yield

    def create(self, sha: str) -> None:
        """Creates an empty mirror if there is none, with the hash function of ``sha``."""
        if not (self.path / "HEAD").exists():
            run_git(
                [
                    "git",
                    "init",
                    "--bare",
                    "--quiet",
                    "--template=",
                    f"--object-format={object_format(sha)}",
                    str(self.path),
                ]
            )

    @property
    def is_whole(self) -> bool:
        """True if commits are fetched with their whole history, because a job has needed it."""
        return self._whole.exists()

    def make_whole(self) -> None:
        """From now on commits are fetched with their whole history."""
        self._whole.touch()

    def without_parents(self) -> frozenset[str]:
        """The commits whose parents were not fetched."""
        try:
            return frozenset((self.path / "shallow").read_text().split())
        except FileNotFoundError:
            return frozenset()

    def is_damaged(self) -> bool:
        """True if objects that the refs need are missing or corrupt. Slow: reads every object."""
        try:
            self._git("fsck", "--no-dangling", "--no-progress")
        except GitError as error:
            return error.reason is not Reason.DISK_FULL
        return False

    def repair(self, sha: str, error: GitError) -> bool:
        """Repairs the mirror after a failed fetch. True if it found damage, so a retry may help. Hold ``fetching``."""
        if error.reason is Reason.DISK_FULL:
            return False
        # Their owner is dead: it held the fetch lock, which is ours now.
        stale = [*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock")]
        for lock in stale:
            lock.unlink(missing_ok=True)
        if stale:
            self._warn(f"removed {len(stale)} locks that a killed git left in the mirror {self.path}")
            return True
        other_format = "mismatched algorithms" in error.stderr and self._has_other_format(sha)
        if other_format or self.is_damaged():
            self.discard()
            return True
        return False

    def _has_other_format(self, sha: str) -> bool:
        kind = self._git("rev-parse", "--show-object-format").strip()
        return kind != object_format(sha)

    def drop_unfinished(self) -> int:
        """Removes what a fetch has left that did not end. Returns the bytes of the largest file. Hold ``fetching``."""
        largest_bytes = 0
        for left in self.path.glob("objects/pack/tmp_*"):
            largest_bytes = max(largest_bytes, left.stat().st_size)
            left.unlink()
        return largest_bytes

    def discard(self) -> None:
        """Deletes the mirror. Hold ``fetching``."""
        with _locked(self._read_lock, fcntl.LOCK_EX):
            if self.path.exists():
                shutil.rmtree(self.path)
        self._warn(f"the mirror {self.path} was damaged or outdated; it was deleted and is fetched again")

    def tidy(self, commits_kept: int = COMMITS_KEPT) -> None:
        """Once a day, deletes the oldest commits and LFS files and runs ``git gc``. Does nothing while it is in use."""
        done = self.path.with_suffix(".tidied")
        if done.exists() and time.time() - done.stat().st_mtime < TIDY_EVERY_S:
            return
        now = fcntl.LOCK_EX | fcntl.LOCK_NB
        with suppress(BlockingIOError), _locked(self._fetch_lock, now), _locked(self._read_lock, now):
            if not self.path.exists():
                return  # it was removed meanwhile
            self.drop_unfinished()
            newest_first = self._git("for-each-ref", "--sort=-creatordate", "--format=%(refname)", "refs/headway")
            for ref in newest_first.split()[commits_kept:]:
                self._git("update-ref", "-d", ref)
            self._git(*_TIDY, "gc", "--auto", "--quiet")
            for large in self.lfs.rglob("*"):
                if large.is_file() and time.time() - large.stat().st_mtime > LARGE_FILE_KEPT_S:
                    large.unlink()
            done.touch()

    def _git(self, *arguments: str) -> str:
        return run_git(["git", "--git-dir", str(self.path), *arguments]).decode(errors="replace")


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Holds a file lock. With LOCK_NB, raises BlockingIOError instead of waiting."""
    with path.open("a") as lock:
        fcntl.flock(lock, how)
        yield


def end_orphaned_fetches(folder: Path) -> None:
    """Kills fetches into mirrors whose worker process has died: they would be in the way of the next one. Needs /proc.

    A fetch that goes on without its fetch lock has lost its process.
    """
    for path in folder.glob("*.git"):
        with suppress(BlockingIOError, OSError), _locked(path.with_suffix(".lock"), fcntl.LOCK_EX | fcntl.LOCK_NB):
            for found in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # the process ended meanwhile
                    words = found.read_bytes().split(b"\0")
                    if os.fsencode(path) in words and b"fetch" in words:
                        os.kill(int(found.parent.name), signal.SIGKILL)


def tidy_mirrors(folder: Path, warn: Callable[[str], None], is_busy: Callable[[], bool]) -> None:
    """Runs the daily maintenance of all mirrors, and stops as soon as ``is_busy``."""
    for path in sorted(folder.glob("*.git")):
        if is_busy():
            return
        try:
            MirrorStore(path, warn).tidy()
        except (GitError, OSError) as error:
            warn(f"the mirror {path} could not be tidied: {error}")
