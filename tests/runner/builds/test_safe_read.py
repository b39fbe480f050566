"""A file that a step may replace while it is read leads to no other file of the worker."""

import fcntl
import os
import select
import struct
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.builds.safe_read import FILE_BYTES_MAX, read_file
from runner.errors import StepError

GET_NUMBER, SET_LOCK = 0x80045430, 0x40045431
"""Linux's requests TIOCGPTN and TIOCSPTLCK."""


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


def test_a_device_is_not_opened() -> None:
    """Opening some does harm: a watchdog restarts the machine. Here: a terminal, whose other end sees that."""
    leader = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(leader, SET_LOCK, struct.pack("i", 0))
    (number,) = struct.unpack("i", fcntl.ioctl(leader, GET_NUMBER, struct.pack("i", 0)))
    with pytest.raises(StepError, match="is no ordinary file"):
        read_file(Path("/dev/pts"), Path(f"/dev/pts/{number}"))
    seen = select.poll()
    seen.register(leader, select.POLLHUP)
    assert seen.poll(0) == [], "it was opened, and closed again"
    os.close(leader)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox")
    before = len(list(Path("/proc/self/fd").iterdir()))
    read_file(tmp_path, tmp_path / "Dockerfile")
    with pytest.raises(StepError):
        read_file(tmp_path, tmp_path / "gone")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
