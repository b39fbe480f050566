"""The fragments of a folder, also those of other repositories: their mirrors are in the user's cache folder."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pipelines.compose.env_files import ENV_FILE
from pipelines.context import PipelineFile
from pipelines.parser.fragments import NO_FRAGMENTS, Fragments
from pipelines.state import Reason
from runner.cli.cache_folder import cache_folder
from runner.errors import StepError

if TYPE_CHECKING:
    from runner.source.git.foreign import ForeignServer
    from runner.source.git.git import GitLogin
    from runner.source.mirrors.mirror import Mirror


def fragments_of(files: Sequence[PipelineFile], folder: Path, remote: Callable[[], str]) -> Fragments:
    """The fragments that the pipeline files of a folder include. ``remote`` is the address of its repository.

    Raises MachineError. What reads them loads much of git, so only where there is an ``include`` or ``compose``.
    """
    if not any(b"include" in file.text or b"compose" in file.text for file in files):
        return NO_FRAGMENTS
    from runner.source.fragments import read_fragments
    from runner.source.other_repositories import OtherRepositories

    others = OtherRepositories(remote(), _open_mirror, None, trusted=True, reaches_host=True)
    return read_fragments(files, partial(read_file, folder), others)


def read_file(folder: Path, name: str) -> bytes:
    """A file of the folder. A ``.env`` that git ignores often has a person's secrets in it, and no server has it."""
    from runner.source.repository_file import read_repository_file
    from runner.source.working_tree_files import is_ignored

    text = read_repository_file(folder, name)
    if PurePosixPath(name).name == ENV_FILE and is_ignored(folder, name):
        raise StepError(Reason.INVALID_PIPELINE, f"{name} is ignored by git, and so is not in the commit")
    return text


def _open_mirror(url: str, login: "GitLogin | None", foreign: "ForeignServer") -> "Mirror":
    from runner.source.mirrors.mirror import Mirror

    return Mirror(cache_folder(os.environ, "fragments"), url, login, foreign=foreign)
