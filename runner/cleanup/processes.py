"""Orphaned processes: a build client whose worker was killed keeps running until it next writes output."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def kill_build_clients(folder: Path) -> None:
    """Kills the processes that run in a job's ``folder`` outside of containers. Needs /proc, else does nothing."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):  # the process ended meanwhile, or belongs to another user
            if link.readlink().is_relative_to(folder / "scratch"):
                os.kill(int(link.parent.name), signal.SIGKILL)
