"""``headway run`` with a Compose file of the folder, also where its process is killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.docker.client import Engine
from tests.support.engine import eventually
from tests.support.repos import WHO

pytestmark = pytest.mark.engine

HEADWAY = str(Path(sys.executable).with_name("headway"))
PIPELINE = "steps:\n  - {name: it, compose: ci/compose.yml}\n"
COMPOSE = """\
services:
  db:
    image: busybox
    command: [sh, -c, "echo row > /data/rows; exec nc -ll -p 5432 -e cat /data/rows"]
    healthcheck: {test: [CMD, grep, -q, ":1538 ", /proc/net/tcp, /proc/net/tcp6]}
    volumes: [data:/data]
  tests:
    image: busybox
    command: [sh, -c, "nc db 5432 < /dev/null; %s"]
    depends_on: [db]
volumes: {data: }
"""


def run_of(folder: Path, last: str) -> subprocess.Popen[str]:
    """A run of a folder; what it keeps for the time of the run is in ``left`` beside it."""
    tree, left = folder / "tree", folder / "left"
    (tree / "ci").mkdir(parents=True)
    left.mkdir()
    (tree / ".headway.yml").write_text(PIPELINE)
    (tree / "ci" / "compose.yml").write_text(COMPOSE % last)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
    env = {**kept, **WHO, "TMPDIR": str(left)}
    return subprocess.Popen([HEADWAY, "run"], cwd=tree, env=env, stdout=subprocess.PIPE, text=True)


def test_the_exit_of_the_tests_is_that_of_the_run(tmp_path: Path) -> None:
    with run_of(tmp_path, "exit 5") as process:
        written, _ = process.communicate()
    assert process.returncode == 1
    assert "it | row" in written
    assert "step 'it': exited with 5" in written
    eventually(lambda: not list((tmp_path / "left").iterdir()))


def test_a_run_that_is_killed_leaves_no_container_network_or_volume(tmp_path: Path, engine: Engine) -> None:
    with run_of(tmp_path, "echo begun; sleep 1000") as process:
        assert process.stdout
        while process.stdout.readline().strip() != "it | begun":
            assert process.poll() is None
        (folder,) = (tmp_path / "left").iterdir()
        label = f"headway.job={folder.name.removeprefix('headway-')}"
        assert len(engine.containers_labelled(label)) > 1
        assert list(folder.glob("**/volumes/1-data/rows"))
        process.kill()
    eventually(lambda: not engine.containers_labelled(label) and not engine.networks_labelled(label))
    eventually(lambda: not list((tmp_path / "left").iterdir()))
