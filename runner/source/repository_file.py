"""Reads files of a work tree by their paths in the repository, as a server reads those of a commit."""

import os
from pathlib import Path

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.pipeline_file import read_pipeline_file
from runner.source.tree_entries import nowhere, outside


def read_repository_file(folder: Path, name: str) -> bytes:
    """A file of the tree at ``folder``, which may be a link. Raises StepError for one that a server cannot follow."""
    try:
        return _read(folder.resolve(), name)
    except OSError as error:  # also of a name that is too long for this system
        raise StepError(Reason.INVALID_PIPELINE, f"{name} cannot be read: {error.strerror}") from error


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    real = Path(os.path.realpath(path))
    if real.is_symlink() or (path.is_symlink() and not real.exists()):
        raise nowhere(name, loop=real.is_symlink())
    if real != path and not real.is_relative_to(_top_folder(folder)):
        raise outside(name, str(real))
    if not real.is_file():
        raise StepError(Reason.INVALID_PIPELINE, f"{name} is not a file")
    return read_pipeline_file(real)


def _top_folder(folder: Path) -> Path:
    """The root of the repository that the folder is in, else the folder."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
