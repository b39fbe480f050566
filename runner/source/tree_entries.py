"""Files of a commit by their paths, where a file or a folder may be a symbolic link to another in the repository."""

import time
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import NamedTuple

from pipelines.parser.discovery import FOLDERS, choose_files
from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.git import GIT_TIMEOUT_S, GitError
from runner.source.git.limited_git import GitLimits, TooMuchOutputError

_FORMAT = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
NAMES_BYTES_MAX = 8 * 1024**2
"""Of the names directly in one folder."""
_SUBMODULE = b"160000"
_HINT = "let it lead to a file of the repository, or replace it by the file itself"


class Entry(NamedTuple):
    """An object of a commit: its id, its kind (blob, tree or commit), and its size in bytes."""

    object: str
    kind: str
    bytes: int


def names_in(git: Callable[..., bytes], tree: str, bytes_max: int = NAMES_BYTES_MAX) -> list[str]:
    """The names in a tree or in the root of a commit. Raises StepError where they are too many."""
    limits = GitLimits(time.monotonic() + GIT_TIMEOUT_S, bytes_max)
    try:
        listed = git("ls-tree", "-z", "--name-only", tree, limits=limits)
    except TooMuchOutputError:
        why = f"its root, or a folder for pipeline files, has more than {bytes_max:,} bytes of names in it"
        raise StepError(
            Reason.INVALID_PIPELINE, f"the commit has too many files: {why}; move them to folders"
        ) from None
    return [name for name in listed.decode(errors="replace").split("\0") if name]


def pipeline_names(git: Callable[..., bytes], sha: str) -> list[str]:
    """The names in the root of the commit, and the paths in its pipeline folders, which may be links to others."""
    found, problems = names_in(git, sha), list[StepError]()
    for folder in (folder for folder in FOLDERS if folder in found):
        try:
            entry = entry_at(git, sha, folder)
        except StepError as problem:  # as on a disk, no matter where there is another pipeline file
            if isinstance(problem, GitError):
                raise
            problems.append(problem)
            continue
        inside = names_in(git, entry.object) if entry and entry.kind == "tree" else []
        found += [f"{folder}/{name}" for name in inside]
    if problems and not choose_files(found):
        raise problems[0]
    return found


def entry_at(git: Callable[..., bytes], sha: str, path: str) -> Entry | None:
    """What is at the path, links followed; None if there is nothing, or only a submodule.

    ``git`` runs git in the repository, with ``stdin``. Raises StepError for a link that leads to no file of the commit,
    GitError where the repository is damaged.
    """
    name = f"{sha}:{path}"
    if "\n" in path:  # it would end the line that names it: links of such a name are not followed
        name = git("rev-parse", "--verify", name).decode().strip()
    with TemporaryFile() as wanted:
        wanted.write(f"{name}\n".encode(errors="surrogateescape"))
        wanted.seek(0)
        answer = git("cat-file", _FORMAT, "--follow-symlinks", stdin=wanted).decode(errors="replace")
    first, _, rest = answer.partition("\n")
    word, _, number = first.rpartition(" ")
    if word in {"symlink", "dangling", "loop", "notdir"}:
        target = rest[: int(number)]
        raise StepError(Reason.INVALID_PIPELINE, f"{path} {link_problem(word, target)}; {_HINT}")
    if number == "missing" or first.endswith(" missing"):
        listed = git("ls-tree", "-z", sha, "--", path)  # fails if a folder on the way is damaged
        if listed and not listed.startswith(_SUBMODULE):
            raise GitError(f"the object of {path} is missing")
        return None
    found, kind, size = first.split(" ")
    return Entry(found, kind, int(size))


def link_problem(kind: str, target: str) -> str:
    """What is wrong with a link, in the words of ``git cat-file``."""
    if kind == "symlink":
        return f"is a link that leads out of the repository, to {target}"
    if kind == "loop":
        return "is a link that leads back to itself"
    return "is a link to what is not there"


def outside(path: str, target: str) -> StepError:
    """The error for a link on a disk that leads out of the repository."""
    return StepError(Reason.INVALID_PIPELINE, f"{path} {link_problem('symlink', target)}; {_HINT}")


def nowhere(path: str, *, loop: bool) -> StepError:
    """The error for a link on a disk that leads to no file."""
    return StepError(Reason.INVALID_PIPELINE, f"{path} {link_problem('loop' if loop else 'dangling', '')}; {_HINT}")
