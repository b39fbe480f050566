"""Locks on files that the holder of the exclusive lock may remove."""

import os
from fcntl import flock
from pathlib import Path
from typing import IO

_TRIES = 100


def locked_file(path: Path, how: int, *, make: bool = True) -> IO[str]:
    """The file that is at ``path``, locked until it is closed.

    A wait may end with the lock of a file that was removed meanwhile: then the file that is there now is locked.
    Raises BlockingIOError with LOCK_NB, and FileNotFoundError where there is none and ``make`` is false.
    """
    for _ in range(_TRIES):
        file = path.open("a" if make else "r+")
        try:
            flock(file, how)
            if _is_at(path, file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()
    raise BlockingIOError(f"{path} is removed again and again")


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
