"""Reads the files that say what a build does: a step may replace them at any moment."""

import errno
from pathlib import Path

from pipelines.state import Reason
from runner.errors import StepError
from runner.step_files import NotAFileError, read_step_file

FILE_BYTES_MAX = 1024 * 1024


def read_file(root: Path, path: Path) -> bytes:
    """The content of ``path`` below ``root``, following no symbolic link behind ``root``. Raises StepError.

    Steps cannot replace ``root`` itself.
    """
    real = root.resolve()
    try:
        content = read_step_file(real, path.relative_to(real).parts, FILE_BYTES_MAX + 1)
    except NotAFileError as error:
        raise StepError(Reason.BUILD_FAILED, f"{path.name} is no ordinary file; a build needs one") from error
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOTDIR, errno.ENOENT}:
            raise
        raise StepError(
            Reason.BUILD_FAILED, f"{path.name} was replaced while it was read; run what writes it before the build"
        ) from error
    if len(content) > FILE_BYTES_MAX:
        raise StepError(Reason.BUILD_FAILED, f"{path.name} has more than {FILE_BYTES_MAX:,} bytes; make it smaller")
    return content
