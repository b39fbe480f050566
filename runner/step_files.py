"""Reads a file that steps may replace at any moment: it leads to no other file of the worker, and to no device."""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

_PIECE_BYTES = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_PATH opens nothing yet: opening a device may do harm (a watchdog restarts the machine), and a pipe would wait.
# Where the system has no O_PATH, steps run in a virtual machine, and their devices are not this machine's.
_PATH = getattr(os, "O_PATH", os.O_NONBLOCK)
_NODE = _PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class LinkError(OSError):
    """The path leads to a symbolic link."""


class NotAFileError(OSError):
    """The path leads to a folder, pipe, socket or device."""


class StepFolder(NamedTuple):
    """A folder that steps write to: a checkout, or one in it.

    Steps may replace each of ``parts`` by a link at any moment, but not ``root``, which their containers mount. So what
    reads there has to begin at ``root``: to open ``path`` follows the links on its way.
    """

    root: Path
    parts: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Its place on this machine, as long as no step runs that could move it."""
        return self.root.joinpath(*self.parts)

    def below(self, parts: Sequence[str]) -> "StepFolder":
        """A folder in it."""
        return StepFolder(self.root, (*self.parts, *parts))


def read_step_file(root: Path, parts: Sequence[str], bytes_max: int) -> bytes:
    """The first ``bytes_max`` bytes of a file below ``root``, following no symbolic link behind ``root``.

    Steps cannot replace ``root`` itself. Raises OSError: ELOOP or ENOTDIR for a link, NotAFileError.
    """
    with open_step_file(root, parts) as file:
        return file.read(bytes_max)


def open_step_file(root: Path, parts: Sequence[str]) -> BinaryIO:
    """The file, opened for reading. Raises as ``read_step_file`` does."""
    *folders, name = parts
    opened = [os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        for folder in folders:
            opened.append(os.open(folder, _FOLDER, dir_fd=opened[-1]))
        opened.append(os.open(name, _NODE, dir_fd=opened[-1]))
        mode = os.fstat(opened[-1]).st_mode
        if stat.S_ISLNK(mode):
            raise LinkError(errno.ELOOP, "it is a symbolic link")
        if not stat.S_ISREG(mode):
            raise NotAFileError("it is no ordinary file")
        return os.fdopen(_readable(opened[-1]), "rb")
    finally:
        for descriptor in opened:
            os.close(descriptor)


def open_step_folder(folder: StepFolder) -> int:
    """A descriptor of the folder. Raises OSError, and LinkError where a link is on its way."""
    opened = os.open(folder.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in folder.parts:
        above = opened
        try:
            opened = os.open(part, _FOLDER, dir_fd=above)
        except NotADirectoryError:
            if stat.S_ISLNK(os.stat(part, dir_fd=above, follow_symlinks=False).st_mode):
                raise LinkError(errno.ELOOP, "it leads through a symbolic link") from None
            raise
        finally:
            os.close(above)
    return opened


def copy_step_files(source: StepFolder, target: Path, check: Callable[[], None]) -> None:
    """Copies a file, or a folder with all that is in it; links are copied as links, and what is neither is left out.

    Folders can be written to by all users, because containers run as any user; files keep their modes. ``target`` must
    not exist. ``check`` is called for each entry, and raises to end it. Raises OSError; LinkError for a link on the way
    to ``source``.
    """
    try:
        os.close(open_step_folder(source))
    except NotADirectoryError:
        _copy_file(source, target, check)
        return
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        parts = waiting.pop()
        # A step may remove or replace what is below at any moment.
        with suppress(*(() if not parts else (FileNotFoundError, NotADirectoryError, LinkError))):
            folders = _copy_folder(source.below(parts), target.joinpath(*parts), check)
            waiting += [(*parts, name) for name in folders]


def _copy_folder(source: StepFolder, target: Path, check: Callable[[], None]) -> list[str]:
    """Copies what is in a folder but for the folders there, whose names it returns."""
    target.mkdir()
    target.chmod(0o777)
    folders = []
    opened = open_step_folder(source)
    try:
        with os.scandir(opened) as entries:
            for entry in entries:
                check()
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                    continue
                with suppress(FileNotFoundError, NotAFileError, LinkError):
                    if entry.is_symlink():
                        (target / entry.name).symlink_to(os.readlink(entry.name, dir_fd=opened))
                    else:
                        _copy_file(source.below([entry.name]), target / entry.name, check)
    finally:
        os.close(opened)
    return folders


def _copy_file(source: StepFolder, target: Path, check: Callable[[], None]) -> None:
    with open_step_file(source.root, source.parts) as file, target.open("xb") as copy:
        while piece := file.read(_PIECE_BYTES):
            check()
            copy.write(piece)
        os.fchmod(copy.fileno(), os.fstat(file.fileno()).st_mode & 0o777)


def _readable(node: int) -> int:
    """A descriptor for reading the very file that ``node`` is, whatever has its name now."""
    return os.open(f"/proc/self/fd/{node}", os.O_RDONLY | os.O_CLOEXEC) if _PATH != os.O_NONBLOCK else os.dup(node)
