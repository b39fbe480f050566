"""Ids of commits: 40 (SHA-1) or 64 (SHA-256) hex digits in lower case, or only the first of them."""

import re

SHA1_DIGITS = 40
SHA256_DIGITS = 64
ABBREVIATED_DIGITS_MIN = 7  # git and the forges abbreviate to no fewer

FULL_ID = rf"[0-9a-f]{{{SHA1_DIGITS}}}|[0-9a-f]{{{SHA256_DIGITS}}}"
"""The pattern of an id in full."""

ANY_ID = rf"[0-9a-f]{{{ABBREVIATED_DIGITS_MIN},{SHA256_DIGITS}}}"
"""The pattern of an id in full or abbreviated."""

NO_COMMIT = "0" * SHA1_DIGITS
"""What git and forges write in place of an id where there is no commit, as before the first push to a branch."""

_FULL_ID = re.compile(FULL_ID)
_ANY_ID = re.compile(ANY_ID)


def is_full_id(text: str) -> bool:
    """Is this the id of a commit in full?"""
    return _FULL_ID.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Is this the id of a commit, in full or abbreviated?"""
    return _ANY_ID.fullmatch(text) is not None


def object_format(sha: str) -> str:
    """The hash of the repository that has this commit, as ``git init --object-format`` takes it."""
    return "sha256" if len(sha) == SHA256_DIGITS else "sha1"
