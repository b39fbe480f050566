"""What a checkout has is decided by its commit alone, files' times too: build caches and comparisons rely on it."""

import os
import shutil
from pathlib import Path

from runner.source.git.git import run_git
from runner.source.git.git_dir import WITH_MODES

EARLIEST_TIME_S, LATEST_TIME_S = 315_619_200, 4_354_732_799
"""From 1980 to 2107, as in a ZIP file such as a Python wheel, without the first and the last day: in any time zone."""


def make_reproducible(folder: Path) -> None:
    """Leaves in a checkout what its commit decides alone: all files have the commit's time, and ``.git``, also of
    submodules, has no reflog, no file status in the index, no packs as others made them, and in submodules no branches.

    The next ``git status`` reads the files again and refreshes the index; plumbing such as ``git diff-index`` does not.
    No step may have written to the folder before.
    """
    top = folder / ".git"
    for index in (top / "index", *top.glob("modules/**/index")):
        if (index.parent / "objects").is_dir():
            _make_git_reproducible(index.parent, is_submodule=index.parent != top)
    if (top / "objects").is_dir():
        _set_times(folder, file_time_s(_in(top, "log", "-1", "--format=%ct", "HEAD").decode()))


def file_time_s(commit_time: str) -> int:
    """The time of a commit as one that files can have. Histories have dates of any kind, and none."""
    written = commit_time.strip()
    return min(max(int(written) if written.isdecimal() else 0, EARLIEST_TIME_S), LATEST_TIME_S)


def _in(git: Path, *arguments: str) -> bytes:
    return run_git([*WITH_MODES, "git", "--git-dir", str(git), *arguments])


def _make_git_reproducible(git: Path, *, is_submodule: bool) -> None:
    shutil.rmtree(git / "logs", ignore_errors=True)
    if is_submodule:
        # Its branches are where the submodule's repository has them now; HEAD is at the commit that is wanted.
        for name in _in(git, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes").decode().split():
            _in(git, "update-ref", "--no-deref", "-d", name)
        for name in ("FETCH_HEAD", "ORIG_HEAD"):
            (git / name).unlink(missing_ok=True)
    # Compressed anew: packs are as the origin, or the settings of its owner, have compressed and ordered them.
    repack = ("repack", "-a", "-d", "-F", "-n", "--quiet", "--window=0", "--no-write-bitmap-index")
    _in(git, "-c", "core.compression=1", "-c", "pack.compression=1", *repack)
    if is_submodule:
        _in(git, "prune", "--expire=now")  # also what "shallow" says of commits that are gone
    _in(git, "read-tree", "HEAD")


def _set_times(folder: Path, time_s: int) -> None:
    """Sets the time of all files and folders. Follows no link, and needs no call for each level."""
    folders = [str(folder)]
    for each in folders:  # grows while it is read
        with os.scandir(each) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    os.utime(entry.path, (time_s, time_s), follow_symlinks=False)
    for each in folders:
        os.utime(each, (time_s, time_s))
