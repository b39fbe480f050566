"""Which files of a commit differ from another, as far as a run can keep the list.

A few trees that name each other many times have millions of files in a pack of a few hundred bytes. The list is kept
with the run for as long as that is, each page of the run reads it, and `when: path` compares it with each pattern.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.source.git.git import GitError, run_git
from runner.source.git.limited_git import GitLimits, NoAnswerError, TooMuchOutputError

FILES_MAX = 3_000
"""As many as GitHub Actions compares."""
JSON_BYTES_MAX = 256 * 1024
"""Of the list as JSON, as the trigger of a run has it: there, a control character takes six bytes."""
_SECONDS_MAX = 60
# Git keeps all differences before it prints the first: about 300 bytes for each.
_MEMORY_BYTES_MAX = 256 * 1024**2
_NO_MEMORY = ("out of memory", "cannot allocate memory")


@dataclass(frozen=True)
class ListLimits:
    """How many files a list may have, how many bytes as JSON, and how long git may take for it."""

    files_max: int = FILES_MAX
    json_bytes_max: int = JSON_BYTES_MAX
    seconds_max: float = _SECONDS_MAX
    memory_bytes_max: int = _MEMORY_BYTES_MAX


LIST_LIMITS = ListLimits()


def changed_files(git_dir: Path, sha: str, previous: str, limits: ListLimits) -> tuple[str, ...] | None:
    """The paths that differ from ``previous``, or from the parents of ``sha`` if it is empty.

    None if they are more than the limits allow: what cannot be listed counts as changed. Raises GitError.
    """
    names = ("--name-only", "--no-renames", "-z")
    since = ("diff", *names, "--no-ext-diff", previous, sha)
    last = ("diff-tree", *names, "--root", "--no-commit-id", "-r", "-m", sha)
    printed = _printed(git_dir, since if previous else last, limits)
    if printed is None:
        return None
    paths = tuple(dict.fromkeys(name for name in printed.decode(errors="replace").split("\0") if name))
    too_many = len(paths) > limits.files_max or _json_bytes(paths) > limits.json_bytes_max
    return None if too_many else paths


def _printed(git_dir: Path, command: Sequence[str], limits: ListLimits) -> bytes | None:
    deadline_s = time.monotonic() + limits.seconds_max
    # In JSON, no path is shorter than in git's output.
    of_git = GitLimits(deadline_s, limits.json_bytes_max, memory_bytes_max=limits.memory_bytes_max)
    try:
        return run_git(["git", "--git-dir", str(git_dir), *command, "--"], limits=of_git)
    except (TooMuchOutputError, NoAnswerError):
        return None
    except GitError as error:
        if any(sign in error.detail.lower() for sign in _NO_MEMORY):
            return None
        raise


def _json_bytes(paths: Sequence[str]) -> int:
    return len(json.dumps(paths, ensure_ascii=False, separators=(",", ":")).encode())
