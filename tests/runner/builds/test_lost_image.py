"""An image that the engine removes at once, because another job with the same content ends."""

import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.builds.command import Builder
from runner.execution.builds.build_step import BUILD_TRIES_MAX
from tests.support.engine import JobRunner
from tests.support.plans import build, container, secrets_hex, shell

pytestmark = [pytest.mark.engine, pytest.mark.both_stores]

PLAIN = {"Dockerfile": "FROM busybox\nCOPY here /\n", "here": "copied\n"}
REMOVES = """#!/bin/sh
# Builds, and then removes the image, {times} times.
set -e
for word; do
  case $word in --tag=*) name=${{word#--tag=}} ;; esac
done
{command} "$@"
echo >>../tries
[ "$(wc -l <../tries)" -gt {times} ] || docker image rm --force "$name" >/dev/null
"""


def builder_that_loses(builder: Builder, folder: Path, times: int) -> Builder:
    """A build client whose image is gone from the engine when it ends, ``times`` times."""
    if not os.path.realpath(builder.command[0]).startswith("/usr/"):
        pytest.skip("a program of the test may not start this client: a client may read its own file and the system's")
    program = folder / "builder"
    program.write_text(REMOVES.format(command=shlex.join(builder.command), times=times))
    program.chmod(0o755)
    return replace(builder, command=(str(program),))


def test_an_image_that_the_engine_lost_is_built_again(ran: JobRunner, tmp_path: Path) -> None:
    losing = JobRunner(ran.engine, builder_that_loses(ran.builder, tmp_path, BUILD_TRIES_MAX - 1), tmp_path)
    job = losing(build(), shell("cat /here", box=container(1)), files=PLAIN)
    assert job.said(2) == ["copied"]
    assert job.log().count(b"building it again") == BUILD_TRIES_MAX - 1
    assert losing.left() == []


def test_an_image_that_the_engine_loses_each_time_is_an_error_of_the_machine(ran: JobRunner, tmp_path: Path) -> None:
    losing = JobRunner(ran.engine, builder_that_loses(ran.builder, tmp_path, BUILD_TRIES_MAX), tmp_path)
    job = losing(build(), files={"Dockerfile": f"FROM busybox\nENV A={secrets_hex()}\n"})
    assert (job.step().state, job.step().reason) == (State.BROKEN, Reason.INTERNAL)
    assert "lost the image that was just built 3 times" in job.step().message
