"""Sentences for failed builds that no engine at hand shows each time."""

from pathlib import Path

import pytest

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


def test_what_the_users_client_may_not_read_is_named(tmp_path: Path) -> None:
    progress = Progress(lambda _: None, lambda _: None)
    output = [f"ERROR: failed to build: failed to solve: error from sender: open {tmp_path}/zoo/no: permission denied"]
    error = failure(progress, output, tmp_path)
    assert str(error).startswith("Headway's user may not read zoo/no of the build context; give it rights (chmod")


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (["panic: nil pointer", "x/grpcclient.convertRef({0x1})"], "an image of several platforms needs a file in it"),
        (
            ["panic: nil pointer", "goroutine 1 [running]:"],
            "crashed: panic: nil pointer; upgrade docker's buildx plugin",
        ),
        (["panic: of a test", "ERROR: failed to solve: x"], "the image could not be built: x"),
        (["ERROR: Cache export is not supported for the docker driver."], "daemon.json and restart it"),
        (
            ["ERROR: failed to solve: a: no match for platform in manifest: not found"],
            "not exist for a platform of the",
        ),
    ],
)
def test_what_the_client_cannot_do_is_said_with_a_remedy(output: list[str], sentence: str, tmp_path: Path) -> None:
    assert sentence in str(failure(Progress(lambda _: None, lambda _: None), output, tmp_path))
