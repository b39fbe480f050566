"""What is known of a commit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Commit:
    """The metadata of a commit. ``timestamp_s`` is the author's time, in seconds since 1970."""

    sha: str
    message: str
    author: str
    author_email: str
    timestamp_s: int
