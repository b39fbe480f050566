"""Other users of the machine reach nothing of a run: its workspace is open to all, the folder above it is not."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.docker.client import Engine
from tests.support.engine import eventually, need_host_users
from tests.support.other_user import as_other, needs_root, open_folder

pytestmark = pytest.mark.engine

HEADWAY = str(Path(sys.executable).with_name("headway"))
ENGINE = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
PIPELINE = """
steps:
  - name: leave
    image: busybox
    commands:
      - cp tool cat && chown 0:0 cat && chmod 4755 cat && touch ready
      - while [ ! -e go ]; do sleep 0.1; done
"""


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "tmp").mkdir()
        (folder / "tree").mkdir()
        yield folder


def run(place: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [HEADWAY, "run"],
        cwd=place / "tree",
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(place / "tmp"), "HOME": str(place), **ENGINE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@needs_root
def test_another_user_cannot_use_a_program_that_a_step_left_with_the_set_user_id_bit(
    engine: Engine, place: Path
) -> None:
    need_host_users(engine, "neither is the owner of its programs")
    shutil.copy("/bin/cat", place / "tree" / "tool")
    (place / "tree" / ".headway.yml").write_text(PIPELINE)
    secret = place / "secret"
    secret.write_text("the key")
    secret.chmod(0o600)
    with run(place) as process:
        (workspace,) = eventually(lambda: [path.parent for path in place.glob("tmp/*/workspace/**/ready")], 60)
        tool = workspace / "cat"
        assert stat.S_IMODE(tool.stat().st_mode) == 0o4755
        (job,) = (place / "tmp").iterdir()
        try:
            assert as_other(tool, secret).returncode != 0
            assert as_other("ls", job).returncode != 0
            job.chmod(0o755)
            assert as_other(tool, secret).stdout == b"the key", "without the closed folder it works"
            job.chmod(0o700)
        finally:
            (workspace / "go").touch()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


def test_a_temporary_folder_in_which_all_users_can_replace_folders_is_refused(engine: Engine, place: Path) -> None:
    (place / "tmp").chmod(0o777)
    (place / "tree" / ".headway.yml").write_text(PIPELINE)
    with run(place) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert f"{place}/tmp can be changed by other users" in output
    assert "TMPDIR" in output
    eventually(lambda: not list((place / "tmp").iterdir()))
