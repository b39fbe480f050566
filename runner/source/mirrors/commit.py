"""What is known of a commit."""

import time
from dataclasses import dataclass
from pathlib import Path

from pipelines.trigger import TEXT_CHARS_MAX
from runner.source.git.git import GIT_TIMEOUT_S, run_git
from runner.source.git.limited_git import GitLimits

# Enough for three texts of four bytes a character.
_OUTPUT_BYTES_MAX = 256 * 1024
_FORMAT = "--format=%at%x00%an%x00%ae%x00%B"


@dataclass(frozen=True)
class Commit:
    """The metadata of a commit. ``timestamp_s`` is the author's time, in seconds since 1970."""

    sha: str
    message: str
    author: str
    author_email: str
    timestamp_s: int


def read_commit(git_dir: Path, sha: str) -> Commit:
    """The commit's message, author and time; bytes that are not UTF-8 are replaced.

    Of a text that is longer than ``TEXT_CHARS_MAX`` the beginning is kept, as of what forges send. Raises GitError.
    """
    limits = GitLimits(time.monotonic() + GIT_TIMEOUT_S, _OUTPUT_BYTES_MAX, cuts=True)
    show = ["git", "--git-dir", str(git_dir), "show", "-s", "--no-show-signature", _FORMAT, sha, "--"]
    text = run_git(show, limits=limits).decode(errors="replace")
    timestamp, author, email, message = (*text.split("\0", 3), "", "", "")[:4]  # where an endless name was cut
    message, author, email = (each[:TEXT_CHARS_MAX] for each in (message.strip(), author, email))
    return Commit(sha, message, author, email, int(timestamp or 0))
