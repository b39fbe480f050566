"""Folders and files that other users of this machine cannot reach: data directory, workspaces, keys, databases.

A step can leave a program with the set-user-id bit in its checkout. It is harmless because no other user can enter the
folders above it, so each of them is checked and not only created.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOR_OTHERS = 0o077
_LINKS_MAX = 40  # as the kernel
_ALL_USERS = "4294967295"  # the length of a user namespace that is none


class NotPrivateError(Exception):
    """Other users can reach or replace it, and that cannot be changed. The text says why, and what to do."""


@contextmanager
def private_umask() -> Iterator[None]:
    """While it lasts, what this process and its children create is for their user alone."""
    before = os.umask(_FOR_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def private_folder(path: Path) -> bool:
    """Creates the folder for this user alone; closes it for others where it exists. Raises NotPrivateError, OSError.

    Returns whether others could enter it until now.
    """
    _make_parents(path)
    check_way_to(path)
    path.mkdir(mode=0o700, exist_ok=True)
    return _close(path, os.O_RDONLY | os.O_DIRECTORY, 0o700)


def private_file(path: Path, *, of_root: bool = False) -> bool:
    """Closes an existing file for others; returns whether it was open until now. Raises NotPrivateError, OSError.

    With ``of_root`` it may belong to root, who lets a group of this user read it, as is common for keys.
    """
    check_way_to(path)
    if of_root and _is_roots_for_a_group(path):
        return False
    # Non-blocking: whatever lies there, opening it must not wait.
    return _close(path, os.O_RDONLY | os.O_NONBLOCK, 0o600)


def _is_roots_for_a_group(path: Path) -> bool:
    found = path.stat()
    return found.st_uid == 0 and not found.st_mode & (stat.S_IWGRP | stat.S_IRWXO) and os.geteuid() != 0


def new_private_file(path: Path) -> None:
    """Creates an empty file for this user alone, unless there is one. Raises NotPrivateError, OSError."""
    _make_parents(path)
    check_way_to(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _make_parents(path: Path) -> None:
    for parent in reversed(path.absolute().parents):
        if not parent.exists():
            check_way_to(parent)
            parent.mkdir(mode=0o755, exist_ok=True)


def _close(path: Path, flags: int, mode: int) -> bool:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            raise NotPrivateError(_foreign(path, found))
        if found.st_mode & _FOR_OTHERS:
            os.fchmod(descriptor, mode)
        # Some file systems accept the call and change nothing.
        if os.fstat(descriptor).st_mode & _FOR_OTHERS:
            raise NotPrivateError(
                f"{path} stays open to other users of this machine: its file system keeps no permissions. Choose a "
                "place on another file system."
            )
        return bool(found.st_mode & _FOR_OTHERS)
    except OSError as error:
        raise NotPrivateError(
            f"{path} is open to other users of this machine, and that cannot be changed ({error.strerror}): "
            f"run chmod {mode:o} on it, or choose another place."
        ) from error
    finally:
        os.close(descriptor)


def _foreign(path: Path, found: os.stat_result) -> str:
    return (
        f"{path} belongs to user {found.st_uid}, who can read all that is written there, and Headway runs as user "
        f"{os.geteuid()}. Run Headway as its owner, give it to user {os.geteuid()} (chown), or choose another place."
    )


def check_way_to(path: Path) -> None:
    """Checks that no other user can put something else in the place of ``path``.

    Every folder above it, also behind symbolic links, belongs to this user or to root, and others cannot write to it;
    in one with the sticky bit, such as /tmp, they cannot replace what is not theirs. ``path`` itself may be missing.
    Raises NotPrivateError, OSError.
    """
    trusted = _trusted_users()
    here, rest, links = Path("/"), list(path.absolute().parts[1:]), 0
    while rest:
        _check_folder(path, here, trusted)
        step = here / rest.pop(0)
        if not rest and not os.path.lexists(step):
            return
        found = step.lstat()
        if not stat.S_ISLNK(found.st_mode):
            here = step if step.name != ".." else here.parent
            continue
        links += 1
        if found.st_uid not in trusted or links > _LINKS_MAX:
            raise NotPrivateError(
                f"{step}, on the way to {path}, is a link of user {found.st_uid}, who can let it lead elsewhere. Name "
                "the place that it leads to, or choose another."
            )
        target = step.readlink()
        here, rest = (Path("/") if target.is_absolute() else here), [*_parts(target), *rest]


def _parts(target: Path) -> list[str]:
    return [part for part in target.parts if part != "/"]


def _check_folder(path: Path, folder: Path, trusted: frozenset[int]) -> None:
    found = folder.stat()
    mode = found.st_mode
    # A group of one's own is common (umask 002), and root's group is root.
    by_group = mode & stat.S_IWGRP and found.st_gid not in {0, os.getegid()}
    if found.st_uid in trusted and (mode & stat.S_ISVTX or not (by_group or mode & stat.S_IWOTH)):
        return
    who = f"user {found.st_uid}" if found.st_uid not in trusted else "other users"
    raise NotPrivateError(
        f"{folder} can be changed by {who} of this machine, who could put something else in the place of {path}. Run "
        f"chmod go-w on it if it is yours, or choose another place."
    )


def _trusted_users() -> frozenset[int]:
    trusted = {0, os.geteuid()}
    try:
        mapped = Path("/proc/self/uid_map").read_text().split()
        if _ALL_USERS not in mapped:
            # In a user namespace, root and all others outside have one number.
            trusted.add(int(Path("/proc/sys/kernel/overflowuid").read_text()))
    except (OSError, ValueError):  # no Linux
        pass
    return frozenset(trusted)
