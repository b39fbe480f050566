"""Servers that a pipeline file names: who writes it chooses them, and they may be hostile."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from runner.source.git.limited_git import GitLimits

FETCH_S_MAX = 300
"""For all that one run fetches of one such repository: its worker waits for it."""
PACK_BYTES_MAX = 512 * 1024**2
"""Of one fetch. Nothing else bounds what a server sends, and the disk of the mirrors is often that of the database."""
_OUTPUT_BYTES_MAX, _MEMORY_BYTES_MAX = 16 * 1024**2, 1024**3


def _open(_host: str) -> bool:
    return False


@dataclass(frozen=True)
class ForeignServer:
    """How a foreign server is asked. ``is_closed`` says of a host that no redirect to it is followed."""

    limits: GitLimits
    is_closed: Callable[[str], bool] = _open

    def follows(self, url: str) -> bool:
        """Whether a redirect to this address is followed."""
        return not self.is_closed(urlsplit(url).hostname or "")


def foreign_server(is_closed: Callable[[str], bool] = _open) -> ForeignServer:
    """A foreign server whose time begins now."""
    deadline_s = time.monotonic() + FETCH_S_MAX
    return ForeignServer(GitLimits(deadline_s, _OUTPUT_BYTES_MAX, _MEMORY_BYTES_MAX, PACK_BYTES_MAX), is_closed)
