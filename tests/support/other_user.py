"""Another user of this machine, for tests that run as root: user 65534, without groups."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

OTHER = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def as_other(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    """The command, run by the other user."""
    # env starts it, because the program that changes the user may still enter folders of root.
    words = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "env", *map(str, command)]
    return subprocess.run(words, capture_output=True, check=False, timeout=60)


def can_read(path: Path) -> bool:
    """Whether the other user can read the file."""
    return as_other("cat", path).returncode == 0


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that all users can enter: those of pytest are closed, so that a test in them would prove nothing."""
    folder = Path(tempfile.mkdtemp(prefix="headway-test-open-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
