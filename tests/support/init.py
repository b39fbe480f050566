"""The first process of containers (runner/docker/init), run on this machine, where it is not the first."""

import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from runner.docker.init_program import init_program

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Removed at the end of the process."""
    return tempfile.TemporaryDirectory("headway-init")


@cache
def init_here() -> str:
    """The path of the program for this machine."""
    path = Path(_folder().name, "init")
    path.write_bytes(init_program(_ARCHITECTURES[platform.machine()]))
    path.chmod(0o755)
    return str(path)


def run_gate(
    program: Sequence[str], data: bytes, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Opens the gate of a program with ``data``."""
    command = [init_here(), "gate", *program]
    return subprocess.run(command, input=data, capture_output=True, check=False, env=environment, timeout=20)
