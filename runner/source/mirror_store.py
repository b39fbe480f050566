"""The folder of one mirror: who may use it at the same time, and what is done about damage and age."""

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.commit_id import object_format
from pipelines.state import Reason
from runner.source.git import GitError, run_git

COMMITS_KEPT = 500
TIDY_EVERY_S = 24 * 3600
LARGE_FILE_KEPT_S = 30 * 24 * 3600
_TIDY = ("-c", "gc.auto=2000", "-c", "gc.autoPackLimit=20", "-c", "gc.autoDetach=false")


class MirrorFolder:
    """Fetches take turns, and readers wait for none of them. Only what takes objects away waits for all."""

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        self.path = path
        self._note = note
        self._fetch_lock = path.with_suffix(".lock")
        self._read_lock = path.with_suffix(".read")
        self._whole = path / "headway-whole"
        self.lfs = path.with_suffix(".lfs")

    @contextmanager
    def fetching(self) -> Iterator[None]:
        """Alone among those that fetch."""
        with _locked(self._fetch_lock, fcntl.LOCK_EX):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While this is held nothing is taken away."""
        with _locked(self._read_lock, fcntl.LOCK_SH):
            yield

    def make(self, sha: str) -> None:
        """An empty mirror where there is none, for the kind of ids that ``sha`` is of."""
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
        """True when history is fetched with every commit, for somebody wanted it."""
        return self._whole.exists()

    def make_whole(self) -> None:
        """From now on history is fetched, too."""
        self._whole.touch()

    def without_parents(self) -> frozenset[str]:
        """Commits whose parents were not fetched."""
        try:
            return frozenset((self.path / "shallow").read_text().split())
        except FileNotFoundError:
            return frozenset()

    def is_damaged(self) -> bool:
        """True when what the mirror's refs promise is not all here and whole. Reads everything: it takes its time."""
        try:
            self._git("fsck", "--no-dangling", "--no-progress")
        except GitError as error:
            return error.reason is not Reason.DISK_FULL
        return False

    def mend(self, sha: str, error: GitError) -> bool:
        """After a fetch that failed: True when something here was wrong that is now put right. Hold ``fetching``."""
        if error.reason is Reason.DISK_FULL:
            return False
        # Whoever made them is dead: it held the lock that is ours now.
        stale = [*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock")]
        for lock in stale:
            lock.unlink(missing_ok=True)
        if stale:
            self._note(f"{len(stale)} locks that a killed git left in the mirror {self.path} were removed")
            return True
        other_kind = "mismatched algorithms" in error.said and self._ids_are_not(sha)
        if other_kind or self.is_damaged():
            self.discard()
            return True
        return False

    def _ids_are_not(self, sha: str) -> bool:
        kind = self._git("rev-parse", "--show-object-format").strip()
        return kind != object_format(sha)

    def discard(self) -> None:
        """Throws the mirror away. Hold ``fetching``."""
        with _locked(self._read_lock, fcntl.LOCK_EX):
            if self.path.exists():
                shutil.rmtree(self.path)
        self._note(f"the mirror {self.path} was damaged or is outdated; it was thrown away and is fetched again")

    def tidy(self, commits_kept: int = COMMITS_KEPT) -> None:
        """Forgets the oldest commits, packs what many fetches left, once a day. Does nothing while it is in use."""
        done = self.path.with_suffix(".tidied")
        if done.exists() and time.time() - done.stat().st_mtime < TIDY_EVERY_S:
            return
        now = fcntl.LOCK_EX | fcntl.LOCK_NB
        with suppress(BlockingIOError), _locked(self._fetch_lock, now), _locked(self._read_lock, now):
            for left in self.path.glob("objects/pack/tmp_*"):
                left.unlink()
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
    """Raises BlockingIOError where it must not wait and would have to."""
    with path.open("a") as lock:
        fcntl.flock(lock, how)
        yield


def tidy_mirrors(folder: Path, note: Callable[[str], None], is_busy: Callable[[], bool]) -> None:
    """Tidies mirrors that have not been for a day, until there is something better to do."""
    for path in sorted(folder.glob("*.git")):
        if is_busy():
            return
        try:
            MirrorFolder(path, note).tidy()
        except (GitError, OSError) as error:
            note(f"the mirror {path} could not be tidied: {error}")
