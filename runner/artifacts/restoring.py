"""Puts artifacts into a checkout before the first step. Follows no link: a repository may have any."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from pipelines.state import Reason
from runner.artifacts.files import KeptFile, shown, why_no_name
from runner.errors import StepError

WRITTEN_AT_ONCE = 4
"""Several files are read and written side by side: a bucket answers slowly, and checking the bytes takes time."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EPERM})


def put_back(
    checkout: Path, files: Sequence[KeptFile], read: Callable[[KeptFile], Iterator[bytes]], check: Callable[[], None]
) -> None:
    """Writes the files, in place of those that are there. Of the same path the last counts.

    ``read`` and ``check`` are called in several threads. Raises StepError where a link or a folder is in the way.
    """
    last = {file.path: file for file in files}
    with ThreadPoolExecutor(WRITTEN_AT_ONCE, "artifacts") as pool:
        # The first error cancels what has not begun.
        for _ in pool.map(partial(_put_one, checkout, read, check), last.values()):
            pass


def _put_one(
    checkout: Path, read: Callable[[KeptFile], Iterator[bytes]], check: Callable[[], None], file: KeptFile
) -> None:
    check()
    if why := why_no_name(file.path):
        raise _stopped(file, why)
    try:
        _put(checkout, file, read(file))
    except FileExistsError:
        raise _stopped(file, "a file of this name appeared meanwhile") from None
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            why = "a link, a file or a folder of the checkout is in its place; remove it from the repository"
            raise _stopped(file, why) from None
        raise


def _stopped(file: KeptFile, why: str) -> StepError:
    source = f" of workflow {file.source!r}" if file.source else ""
    return StepError(
        Reason.ARTIFACTS_REFUSED, f"the artifact {shown(file.path)}{source} cannot be put into the checkout: {why}"
    )


def _put(checkout: Path, file: KeptFile, pieces: Iterator[bytes]) -> None:
    *folders, name = file.path.split("/")
    with ExitStack() as opened:
        folder = os.open(checkout, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, folder)
        for part in folders:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=folder)
            folder = os.open(part, _FOLDER, dir_fd=folder)
            opened.callback(os.close, folder)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        descriptor = os.open(name, _NEW, 0o644, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as target:
            os.fchmod(descriptor, 0o755 if file.executable else 0o644)
            for piece in pieces:
                target.write(piece)
