"""Which program builds: real programs on a path that was made for it."""

from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.builds.buildkit import Builder, find_builder
from runner.errors import MachineError

OPTIONS = ("build", "--provenance=false", "--load")
NO_SUCH_COMMAND = 'echo "docker: $1 is not a docker command" >&2; exit 1'


def program(path: Path, script: str) -> str:
    """A program that is a shell script; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def found(tmp_path: Path) -> Builder:
    """The builder, where the path, the home and the plugins' folder are all below ``tmp_path``."""
    path = f"{tmp_path}/first::{tmp_path}/second"
    return find_builder(path, f"{tmp_path}/home", [f"{tmp_path}/plugins"])


@pytest.mark.parametrize("place", ["home/.docker/cli-plugins", "plugins", "second"])
def test_buildx_itself_is_taken_wherever_docker_or_the_path_has_it(tmp_path: Path, place: str) -> None:
    program(tmp_path / "first" / "docker", "exit 9")
    buildx = program(
        tmp_path / place / "docker-buildx", '[ "$1" = version ] && echo github.com/docker/buildx v0.30.1 x'
    )
    assert found(tmp_path) == Builder((buildx, *OPTIONS), rawjson=True, metadata=True)


def test_a_buildx_that_does_not_start_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "plugins" / "docker-buildx", "exit 1")
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "docker-buildx").write_text("no program")
    buildx = program(tmp_path / "second" / "docker-buildx", "echo github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3")
    assert found(tmp_path) == Builder((buildx, *OPTIONS), rawjson=True, metadata=True)


def test_an_old_buildx_tells_its_progress_in_plain_words(tmp_path: Path) -> None:
    buildx = program(tmp_path / "plugins" / "docker-buildx", "echo github.com/docker/buildx v0.12.1 30feaa1")
    assert found(tmp_path) == Builder((buildx, *OPTIONS), rawjson=False, metadata=True)


def test_a_docker_that_knows_where_its_buildx_is_is_asked(tmp_path: Path) -> None:
    program(tmp_path / "first" / "docker", NO_SUCH_COMMAND)
    docker = program(tmp_path / "second" / "docker", 'echo "github.com/docker/buildx v0.14.0 $1 $2"')
    assert found(tmp_path) == Builder((docker, "buildx", *OPTIONS), rawjson=True, metadata=True)


def test_an_old_docker_has_buildkit_built_in(tmp_path: Path) -> None:
    old = f'[ "$1" = --version ] && echo "Docker version 20.10.24, build 297e128" && exit; {NO_SUCH_COMMAND}'
    docker = program(tmp_path / "first" / "docker", old)
    assert found(tmp_path) == Builder((docker, "build"), rawjson=False, environment={"DOCKER_BUILDKIT": "1"})


def test_without_any_the_remedy_is_named(tmp_path: Path) -> None:
    program(tmp_path / "first" / "docker", NO_SUCH_COMMAND)
    with pytest.raises(MachineError) as nothing:
        found(tmp_path)
    assert nothing.value.reason is Reason.NO_BUILDER
    assert "docker-buildx" in str(nothing.value)
