"""A file that a step may replace while it is read leads to no other file of the worker."""

import os
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.builds.safe_read import FILE_BYTES_MAX, read_file
from runner.errors import StepError


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "a" / "Dockerfile"
    file.parent.mkdir()
    file.write_bytes(b"x" * FILE_BYTES_MAX)
    assert read_file(tmp_path, file) == b"x" * FILE_BYTES_MAX
    file.write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    with pytest.raises(StepError, match="more than 1,048,576 bytes"):
        read_file(tmp_path, file)


def test_no_symbolic_link_is_followed(tmp_path: Path) -> None:
    workspace, secret = tmp_path / "workspace", tmp_path / "secret.key"
    workspace.mkdir()
    secret.write_text("the key")
    (workspace / "Dockerfile").symlink_to(secret)
    (workspace / "folder").symlink_to(tmp_path)
    for name in ("Dockerfile", "folder/secret.key"):
        with pytest.raises(StepError, match="was replaced while it was read") as caught:
            read_file(workspace, workspace / name)
        assert caught.value.reason is Reason.BUILD_FAILED


def test_a_pipe_does_not_hold_the_worker_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "Dockerfile")
    with pytest.raises(StepError, match="is no ordinary file"):
        read_file(tmp_path, tmp_path / "Dockerfile")


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox")
    before = len(list(Path("/proc/self/fd").iterdir()))
    read_file(tmp_path, tmp_path / "Dockerfile")
    with pytest.raises(StepError):
        read_file(tmp_path, tmp_path / "gone")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
