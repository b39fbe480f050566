"""What git stores of files of a working tree: with other ends of lines, another encoding, or without an expanded id.

``git add`` converts a file as attributes and the user's settings say (``text``, ``eol``, ``working-tree-encoding``,
``ident``, ``core.autocrlf``). This does the same in a repository that has none of the user's configuration but for
these settings: so there is no program for a filter that could run, whatever an attribute names.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.git import GitError, run_git
from runner.source.git.git_words import last_word
from runner.source.git.users_git import users_settings
from runner.source.working_tree_files import Source


class StoredFile(NamedTuple):
    """A file in git: its mode and its blob."""

    mode: str
    blob: str


def stored_files(source: Source, names: Sequence[str], own: Path, attributes: Path) -> dict[str, StoredFile]:
    """The files as ``git add`` on HEAD would store them; ``own`` is a bare repository that gets their blobs.

    ``attributes`` are those of the user's repository that it has in no file of the tree. A file that was removed
    meanwhile is left out. Raises StepError, GitError and OSError.
    """
    if not names:
        return {}
    if attributes.is_file():
        (own / "info").mkdir(exist_ok=True)
        shutil.copyfile(attributes, own / "info" / "attributes")
    git = [
        "git",
        *users_settings(source.folder),
        "-C",
        str(source.folder),
        "--git-dir",
        str(own.resolve()),
        "--work-tree",
        ".",
    ]
    if source.head:  # with core.autocrlf, a file that has CRLF in git keeps them
        run_git([*git, "read-tree", source.head])
    _add(git, names)
    listed = run_git([*git, "ls-files", "-s", "-z"]).split(b"\0")[:-1]
    entries = (entry.partition(b"\t")[::2] for entry in listed)
    known = {os.fsdecode(path): StoredFile(*about.decode().split(" ")[:2]) for about, path in entries}
    for name in names:
        if name not in known and os.path.lexists(source.folder / name):
            raise _refused(f"git takes no file with the name {name!r}; rename it, or let git ignore it")
    return {name: known[name] for name in names if name in known}


def _add(git: Sequence[str], names: Sequence[str]) -> None:
    with TemporaryFile() as given:
        given.write(b"".join(os.fsencode(name) + b"\0" for name in names))
        given.seek(0)
        try:
            run_git([*git, "update-index", "--add", "--remove", "--replace", "-z", "--stdin"], stdin=given)
        except GitError as error:
            if error.reason is Reason.DISK_FULL:
                raise
            said = last_word(error.detail) or "it gave no reason"
            raise _refused(f"git cannot store what has changed: {said}; `git add --all` shows more") from error


def _refused(why: str) -> StepError:
    return StepError(Reason.NO_PIPELINE, why)
