"""A step's script runs as in a plain container: `docker run --init IMAGE sh -e SCRIPT`. Every script runs both ways."""

import re
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from runner.docker.init_program import INIT_FOLDER, SCRIPT
from runner.events import Stream
from runner.execution.container.script import script_of
from runner.execution.job.options import Options
from tests.support.engine import JobRunner
from tests.support.plans import BUSYBOX, SOURCE, container, shell
from tests.support.shell_scripts import SCRIPTS, SCRIPTS_ALONE

pytestmark = [pytest.mark.engine, pytest.mark.stress, pytest.mark.timeout(400)]

DEBIAN = "python:3.13-slim"
AT_ONCE = 4
# A step has three variables that only its own turn knows, in the lines before its commands.
LATE = {"LATE_1": "1", "LATE_2": "1", "LATE_3": "1"}
DRIVE = f"""
mkdir -p {SOURCE} && cd {INIT_FOLDER} || exit 1
for name in "$@"; do
  status=0
  docker-init -s -- sh -e {INIT_FOLDER}/$name </dev/null >out/$name 2>err/$name || status=$?
  echo $status >status/$name
done
"""


class Ended(NamedTuple):
    """What a script did: its exit status and its two outputs."""

    status: int
    output: bytes
    errors: bytes


def as_written(ended: Ended) -> Ended:
    """Without what differs from run to run: the script's file, process ids, and at which line bash learns of an end."""

    def plain(data: bytes) -> bytes:
        data = re.sub(INIT_FOLDER.encode() + rb"/[a-z0-9-]+", SCRIPT.encode(), data)
        data = re.sub(rb"line \d+:(?: +\d+)? +(Killed|Terminated|Hangup|Segmentation fault)", rb"\1", data)
        return re.sub(rb"(kill(?::| pid|: \()) ?-?\d+", rb"\1", data)

    return Ended(ended.status, plain(ended.output), plain(ended.errors))


def write_scripts(folder: Path, scripts: Mapping[str, tuple[str, ...]]) -> None:
    for part in ("out", "err", "status"):
        (folder / part).mkdir(parents=True)
        (folder / part).chmod(0o777)  # with userns-remap a container's root is another user
    for name, commands in scripts.items():
        script = f":\n{script_of(commands, SOURCE, LATE)}"
        (folder / name).write_bytes(script.encode(errors="surrogateescape"))
    (folder / "drive").write_text(DRIVE)


def docker_run(folder: Path, image: str, *command: str) -> subprocess.CompletedProcess[bytes]:
    mount = f"type=bind,source={folder},target={INIT_FOLDER}"
    start = ["docker", "run", "--rm", "--init", "--pull", "never", "--network", "none", "--mount", mount, image]
    return subprocess.run([*start, *command], capture_output=True, check=False)


def plain_together(folder: Path, image: str, scripts: Mapping[str, tuple[str, ...]]) -> dict[str, Ended]:
    """Many in one container, each as the child of an init of its own."""
    write_scripts(folder, scripts)

    def drive(names: list[str]) -> None:
        done = docker_run(folder, image, "sh", f"{INIT_FOLDER}/drive", *names)
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(drive, (list(scripts)[first::AT_ONCE] for first in range(AT_ONCE))))
    return {
        name: Ended(
            int((folder / "status" / name).read_text()),
            (folder / "out" / name).read_bytes(),
            (folder / "err" / name).read_bytes(),
        )
        for name in scripts
    }


def plain_alone(folder: Path, image: str, scripts: Mapping[str, tuple[str, ...]]) -> dict[str, Ended]:
    """Each in a container of its own."""
    write_scripts(folder, scripts)

    def run(name: str) -> Ended:
        command = f"mkdir -p {SOURCE}; exec sh -e {INIT_FOLDER}/{name}"
        done = docker_run(folder, image, "sh", "-c", command)
        return Ended(done.returncode, done.stdout, done.stderr)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(scripts, pool.map(run, scripts), strict=True))


def as_steps(ran: JobRunner, image: str, scripts: Mapping[str, tuple[str, ...]]) -> dict[str, Ended]:
    steps = [shell(*commands, name=name, box=container(image), needs=()) for name, commands in scripts.items()]
    job = ran(*steps, options=Options(parallel_steps_max=AT_ONCE, grace_s=1))
    return {
        name: Ended(job.step(number).exit_code or 0, job.log(number, Stream.STDOUT), job.log(number, Stream.STDERR))
        for number, name in enumerate(scripts, start=1)
    }


@pytest.fixture(params=["busybox", "dash", "bash"])
def image(request: pytest.FixtureRequest, given_image: Callable[..., str]) -> str:
    """An image whose `sh` is this shell."""
    if request.param == "bash":
        return given_image(f"FROM {DEBIAN}\nRUN ln -sf bash /bin/sh\n")
    return {"busybox": BUSYBOX, "dash": DEBIAN}[request.param]


def test_a_script_does_as_a_step_what_it_does_in_a_plain_container(ran: JobRunner, image: str, tmp_path: Path) -> None:
    wanted = plain_together(tmp_path / "together", image, SCRIPTS) | plain_alone(
        tmp_path / "alone", image, SCRIPTS_ALONE
    )
    found = as_steps(ran, image, SCRIPTS | SCRIPTS_ALONE)
    assert len(found) >= 60
    differ = {
        name: (as_written(found[name]), as_written(wanted[name]))
        for name in wanted
        if as_written(found[name]) != as_written(wanted[name])
    }
    report = "\n".join(f"{name}:\n  step  {step}\n  plain {plain}" for name, (step, plain) in differ.items())
    assert not differ, report
