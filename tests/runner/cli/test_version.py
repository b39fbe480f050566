"""`headway --version`: what a report of a fault should begin with."""

import os
import platform
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runner.cli.version import engine_line
from runner.docker.client import Engine
from runner.docker.compatibility import EngineVersion, image_store
from tests.support.fake_engine import DOCKER, PODMAN, fake_engine

HEADWAY = str(Path(sys.executable).with_name("headway"))
ABOUT = EngineVersion("28.5.2", "1.51", "1.51", "amd64")


def said(*words: str, **env: str) -> list[str]:
    done = subprocess.run(
        [HEADWAY, *(words or ("--version",))], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("info", "store"),
    [
        ({"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]]}, "overlay2"),
        ({"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}, "containerd"),
        ({"Driver": "vfs", "DriverStatus": None}, "vfs"),
        ({}, "unknown"),
    ],
)
def test_the_image_store_is_told_from_what_the_engine_says(info: dict[str, Any], store: str) -> None:
    assert image_store(info) == store


def test_the_line_says_what_is_spoken_where_the_engine_knows_more() -> None:
    assert engine_line(ABOUT, {}, "tcp://far:2375").startswith("Docker Engine 28.5.2 (API 1.51), image store")
    newer = EngineVersion("29.1.0", "1.51", "1.52", "amd64", rootless=True)
    assert "29.1.0 (API 1.52, of which 1.51 is spoken, rootless)" in engine_line(newer, {}, "x")


def test_it_says_headway_python_and_the_engine(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER, info='{"Driver": "overlay2"}') as engine:
        headway, python, line = said(DOCKER_HOST=engine.host)
    assert headway.startswith("headway 0.")
    assert python.startswith(f"Python {platform.python_version()} (")
    assert line == f"Docker Engine 28.5.2 (API 1.51), image store overlay2, at {engine.host} (DOCKER_HOST)"


@pytest.mark.slow
def test_an_engine_that_cannot_limit_containers_is_told_with_what_it_needs(tmp_path: Path) -> None:
    info = '{"Driver": "overlay2", "MemoryLimit": false, "CpuCfsQuota": true, "PidsLimit": false}'
    with fake_engine(tmp_path, DOCKER, info=info) as engine:
        warning = said(DOCKER_HOST=engine.host)[3]
    assert warning.startswith("the Docker Engine cannot limit the memory and the processes of a container")
    assert "cgroup v2" in warning


@pytest.mark.engine
def test_the_machines_engine_says_a_store(engine: Engine) -> None:
    assert any(f"image store {store}" in said()[2] for store in ("overlay2", "containerd", "vfs", "fuse-overlayfs"))


@pytest.mark.slow
def test_without_an_engine_it_says_why_and_is_no_failure(tmp_path: Path) -> None:
    assert f"no Docker Engine answers at unix://{tmp_path}/none" in said(DOCKER_HOST=f"unix://{tmp_path}/none")[2]
    with fake_engine(tmp_path, PODMAN) as podman:
        assert said(DOCKER_HOST=podman.host)[2].startswith("Podman 4.3.1 answers")


@pytest.mark.stress
def test_an_engine_that_hangs_is_waited_for_two_seconds(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "engine.sock"))
        hanging.listen()
        began_s = time.monotonic()
        assert said(DOCKER_HOST=f"unix://{tmp_path}/engine.sock")[2].endswith("does not answer within 2 s")
        assert time.monotonic() - began_s < 10


@pytest.mark.slow
def test_help_names_it() -> None:
    assert any("--version" in line for line in said("--help", TERM="dumb"))
