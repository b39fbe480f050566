"""The fragments of a folder, also those of other repositories: their mirrors are in the user's cache folder."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.context import PipelineFile
from pipelines.parser.fragments import NO_FRAGMENTS, Fragments
from runner.cli.cache_folder import cache_folder

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
    from runner.source.repository_file import read_repository_file

    others = OtherRepositories(remote(), _open_mirror, None, trusted=True, reaches_host=True)
    return read_fragments(files, partial(read_repository_file, folder), others)


def _open_mirror(url: str, login: "GitLogin | None", foreign: "ForeignServer") -> "Mirror":
    from runner.source.mirrors.mirror import Mirror

    return Mirror(cache_folder(os.environ, "fragments"), url, login, foreign=foreign)
