"""Reads a file that steps may replace at any moment: it leads to no other file of the worker, and to no device."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

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


def _readable(node: int) -> int:
    """A descriptor for reading the very file that ``node`` is, whatever has its name now."""
    return os.open(f"/proc/self/fd/{node}", os.O_RDONLY | os.O_CLOEXEC) if _PATH != os.O_NONBLOCK else os.dup(node)
