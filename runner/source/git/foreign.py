"""Servers that a pipeline file names: who writes it chooses them, and they may be hostile."""

import time
from dataclasses import dataclass

from runner.source.git.limited_git import GitLimits
from runner.source.git.reach import OPEN, Reach

FETCH_S_MAX = 300
"""For all that one run fetches of one such repository: its worker waits for it."""
PACK_BYTES_MAX = 512 * 1024**2
"""Of one fetch. Nothing else bounds what a server sends, and the disk of the mirrors is often that of the database."""
_OUTPUT_BYTES_MAX, _MEMORY_BYTES_MAX = 16 * 1024**2, 1024**3


@dataclass(frozen=True)
class ForeignServer:
    """How a foreign server is asked. ``reach`` says where it may redirect."""

    limits: GitLimits
    reach: Reach = OPEN


def foreign_server(reach: Reach = OPEN) -> ForeignServer:
    """A foreign server whose time begins now."""
    deadline_s = time.monotonic() + FETCH_S_MAX
    return ForeignServer(GitLimits(deadline_s, _OUTPUT_BYTES_MAX, _MEMORY_BYTES_MAX, PACK_BYTES_MAX), reach)
