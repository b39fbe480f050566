"""A fetch whose worker process died is ended; one whose process holds the mirror's lock goes on."""

import subprocess
import sys
from pathlib import Path

from runner.source.mirrors.mirror_store import MirrorStore, end_orphaned_fetches


def fetching_into(mirror: Path) -> subprocess.Popen[bytes]:
    """A process with the command line of a fetch."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "--git-dir", str(mirror), "fetch"])


def test_only_fetches_that_have_lost_their_process_are_ended(tmp_path: Path) -> None:
    lost, held, reads = (tmp_path / name for name in ("lost.git", "held.git", "reads.git"))
    for mirror in (lost, held, reads):
        mirror.mkdir()
    reader = [sys.executable, "-c", "import time; time.sleep(60)", "--git-dir", str(reads), "archive"]
    with fetching_into(lost) as orphan, fetching_into(held) as alive, subprocess.Popen(reader) as other:
        try:
            with MirrorStore(held, print).fetching():
                end_orphaned_fetches(tmp_path)
            assert orphan.wait(10) == -9
            assert (alive.poll(), other.poll()) == (None, None)
        finally:
            for process in (orphan, alive, other):
                process.kill()
