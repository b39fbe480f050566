"""Finds the artifacts of a step in its checkout. Steps may put links in the place of folders at any moment."""

import os
import stat
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from runner.artifacts.files import Found, FoundFile, refused, shown, why_no_name
from runner.artifacts.patterns import Patterns
from runner.step_files import LinkError, StepFolder, open_step_file, open_step_folder

_LINK = "it is a link, and links are not kept; copy what it leads to"


class _Folder(NamedTuple):
    """A folder to look into. ``inside`` are the patterns that have matched it or one above it."""

    parts: tuple[str, ...]
    inside: frozenset[str]


def find_in_checkout(
    checkout: StepFolder, folder: Sequence[str], patterns: Patterns, found: Found, check: Callable[[], None]
) -> None:
    """Adds the files of the checkout that the patterns mean; they are relative to ``folder``, which is in it.

    Follows no link, also where a step has put one in the place of the checkout. ``check`` is called often, and raises
    where the job must end. Raises StepError, and PermissionError where this process may not read a file.
    """
    waiting = [_Folder((), frozenset())]
    while waiting:
        check()
        each = waiting.pop()
        waiting += reversed(_look_into(checkout, tuple(folder), each, patterns, found))


def _look_into(
    checkout: StepFolder, base: tuple[str, ...], folder: _Folder, patterns: Patterns, found: Found
) -> list[_Folder]:  # fmt: skip
    """Adds the files of one folder, and returns the folders in it."""
    below: list[_Folder] = []
    try:
        opened = _open(checkout.below((*base, *folder.parts)))
    except (FileNotFoundError, NotADirectoryError):
        return below  # it was removed or replaced meanwhile, or there is no such folder
    try:
        for name in _names(opened, found):
            parts = (*folder.parts, name)
            path = "/".join(parts)
            if (base == () and path == ".git") or patterns.is_excluded(path):
                continue
            inside = folder.inside | patterns.found(path)
            try:
                status = os.stat(name, dir_fd=opened, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                if inside or patterns.may_be_below(path):
                    below.append(_Folder(parts, inside))
            elif inside:
                _add(checkout, (*base, *parts), status, found)
                patterns.use(inside)
    finally:
        os.close(opened)
    return [each for each in below if _has_name(each, base, found)]


def _names(folder: int, found: Found) -> list[str]:
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            found.look()
            names.append(entry.name)
    return sorted(names)


def _has_name(folder: _Folder, base: tuple[str, ...], found: Found) -> bool:
    path = "/".join((*base, *folder.parts))
    if (why := why_no_name(path)) and folder.inside:
        found.leave_out(path, why)
    return not why


def _add(checkout: StepFolder, parts: tuple[str, ...], status: os.stat_result, found: Found) -> None:
    path = "/".join(parts)
    if why := why_no_name(path) or why_not_kept(status.st_mode):
        found.leave_out(path, why)
        return
    opened = partial(open_step_file, checkout.root, (*checkout.parts, *parts))
    try:
        opened().close()
    except PermissionError:
        raise  # now, while there is another way to read it
    except OSError:
        found.leave_out(path, "it was removed or replaced meanwhile")
        return
    found.add(FoundFile(path, status.st_size, bool(status.st_mode & stat.S_IXUSR), opened))


def why_not_kept(mode: int) -> str:
    """Why a file of this kind cannot be kept; empty for an ordinary one."""
    if stat.S_ISLNK(mode):
        return _LINK
    return "" if stat.S_ISREG(mode) else "it is no ordinary file"


def _open(folder: StepFolder) -> int:
    try:
        return open_step_folder(folder)
    except LinkError:
        raise refused(f"{shown('/'.join(folder.parts))} leads through a link; name the folder itself") from None
