"""Mirrors that are kept on a machine: who uses them, how long ago, and how one is removed that no job uses.

A job holds a shared lock on its mirror from before its first look until it has ended. A removal needs that lock for
itself: it happens before the job, which then fetches a new mirror, or not at all.
"""

import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runner.file_locks import locked_file

_USED, _REMOVED = ".used", ".removed-"
_LOCKS = (".lock", ".read")
# Of `mirror_name`. Whatever else is in the folder (lost+found, snapshots, notes) is not Headway's to remove.
_FILE = re.compile(r"([0-9a-f]{24})\.(?:git|lfs|lock|read|tidied|used)")
_ASIDE = re.compile(rf"[0-9a-f]{{24}}{re.escape(_REMOVED)}[0-9a-f]{{8}}")


@dataclass(frozen=True)
class StoredMirror:
    """A mirror by its name (``mirror_name`` without the end), and when a job used it last, in seconds since 1970."""

    name: str
    used_s: float
    folders: tuple[Path, ...]


@contextmanager
def in_use(mirror: Path) -> Iterator[None]:
    """The mirror is not removed within this context, whether it exists yet or not."""
    with locked_file(mirror.with_suffix(_USED), fcntl.LOCK_SH):
        os.utime(mirror.with_suffix(_USED))
        yield


def stored_mirrors(folder: Path) -> list[StoredMirror]:
    """The mirrors in the folder, and what is left of some."""
    found = (_FILE.fullmatch(path.name) for path in _entries(folder))
    return [_stored(folder, name) for name in sorted({each[1] for each in found if each})]


def _stored(folder: Path, name: str) -> StoredMirror:
    base = folder / f"{name}.git"
    used_s = max((_changed_s(base.with_suffix(each)) for each in (_USED, ".tidied")), default=0)
    # Of a version that did not note the use.
    used_s = used_s or _changed_s(base)
    return StoredMirror(name, used_s, (base, base.with_suffix(".lfs")))


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0


def remove_mirror(folder: Path, name: str, *, idle_s: float = 0, forever: bool = False) -> bool:
    """Removes a mirror unless a job uses it, or used it less than ``idle_s`` ago. Returns whether it is gone.

    ``forever``: its locks go, too, as no job comes that would need them.
    """
    base = folder / f"{name}.git"
    now = fcntl.LOCK_EX | fcntl.LOCK_NB
    aside = folder / f"{name}{_REMOVED}{secrets.token_hex(4)}"
    try:
        with locked_file(base.with_suffix(_USED), now) as used:
            if idle_s and time.time() - os.fstat(used.fileno()).st_mtime < idle_s and base.exists():
                return False
            # A fetch whose job is dead may still write.
            with locked_file(base.with_suffix(_LOCKS[0]), now), locked_file(base.with_suffix(_LOCKS[1]), now):
                aside.mkdir()
                for path in (base, base.with_suffix(".lfs")):
                    with suppress(FileNotFoundError):
                        path.rename(aside / path.name)
                base.with_suffix(".tidied").unlink(missing_ok=True)
                if forever:
                    for end in (*_LOCKS, _USED):
                        base.with_suffix(end).unlink(missing_ok=True)
    except BlockingIOError:
        return False
    shutil.rmtree(aside)
    return True


def finish_removals(folder: Path) -> None:
    """Removes what an interrupted removal has left."""
    for path in _entries(folder):
        if _ASIDE.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
