"""Reads a file that steps may replace at any moment, without being led to another file of the worker."""

import errno
import os
import stat
from pathlib import Path

from pipelines.state import Reason
from runner.errors import StepError

FILE_BYTES_MAX = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# NONBLOCK: a named pipe must not hold the worker up.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_file(root: Path, path: Path) -> bytes:
    """The content of ``path`` below ``root``, following no symbolic link behind ``root``. Raises StepError.

    Steps cannot replace ``root`` itself.
    """
    real = root.resolve()
    *folders, name = path.relative_to(real).parts
    opened = [os.open(real, _FOLDER)]
    try:
        for folder in folders:
            opened.append(os.open(folder, _FOLDER, dir_fd=opened[-1]))
        opened.append(os.open(name, _FILE, dir_fd=opened[-1]))
        return _content(opened[-1], path)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOTDIR, errno.ENOENT}:
            raise
        raise StepError(
            Reason.BUILD_FAILED, f"{path.name} was replaced while it was read; run what writes it before the build"
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _content(descriptor: int, path: Path) -> bytes:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise StepError(Reason.BUILD_FAILED, f"{path.name} is no ordinary file; a build needs one")
    with os.fdopen(os.dup(descriptor), "rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise StepError(Reason.BUILD_FAILED, f"{path.name} has more than {FILE_BYTES_MAX:,} bytes; make it smaller")
    return content
