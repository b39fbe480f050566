"""Processes that a killed worker has left: a client that builds goes on until it next has something to say."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def end_orphans(folder: Path) -> None:
    """Kills what works in a job's ``folder`` outside of containers. Does nothing where the system has no /proc."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):  # it ended meanwhile, or is somebody else's and not ours to look at
            if link.readlink().is_relative_to(folder / "scratch"):
                os.kill(int(link.parent.name), signal.SIGKILL)
