"""Sentences for failed builds that no engine at hand shows each time."""

from pathlib import Path

from pipelines.state import Reason
from runner.builds.failures import failure
from runner.builds.progress import Progress

REFUSED = [
    "ERROR: failed to solve: rpc error: desc = failed to unmarshal the message: string field contains invalid UTF-8"
]


def test_a_file_name_that_buildkit_refuses_is_named(tmp_path: Path) -> None:
    progress = Progress(lambda _: None, lambda _: None)
    (tmp_path / "a" / "ü").mkdir(parents=True)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert "has a file name that is not UTF-8, which this" in str(failure(progress, REFUSED, tmp_path))
    (tmp_path / "a" / "ü" / "x\udcff").touch()
    error = failure(progress, REFUSED, tmp_path)
    assert error.reason is Reason.BUILD_FAILED
    assert "not UTF-8, a/ü/x\\xff, which this BuildKit does not take; rename it, or name it in" in str(error)
