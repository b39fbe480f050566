"""An engine that does not see Headway's folders says so at once, and makes none of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.docker.containers.folders import Folder, binds_and_mounts
from runner.docker.containers.specs import ContainerSpec, job_labels
from runner.docker.error_mapping import classify_text
from runner.errors import UnseenFolderError
from tests.support.engine import JobRunner
from tests.support.plans import container, secrets_hex, shell

HEADWAY = str(Path(sys.executable).with_name("headway"))
OURS, SYSTEMS = Folder(Path("/work"), "/headway"), Folder(Path("/usr"), "/usr", read_only=True, ours=False)
PROBE = Folder(Path("/data"), "/probe", read_only=True)


def test_folders_are_mounts_which_an_engine_refuses_where_it_does_not_see_them() -> None:
    assert binds_and_mounts((OURS, SYSTEMS), selinux=False) == ([], [OURS, SYSTEMS])


def test_with_selinux_our_own_are_binds_that_are_labelled_and_the_systems_are_not() -> None:
    assert binds_and_mounts((OURS, SYSTEMS, PROBE), selinux=True) == (
        ["/work:/headway:z", "/data:/probe:ro,z"],
        [SYSTEMS],
    )


@pytest.mark.parametrize(
    "said",
    [
        'invalid mount config for type "bind": bind source path does not exist: /tmp/headway-local-1/workspace',
        "mounts denied: \nThe path /tmp/x is not shared from the host and is not known to Docker.\nYou can ...",
        "Mounts denied: The path /tmp/x\nis not shared from OS X and is not known to Docker.",
        'invalid mount config for type "bind": stat /tmp/x/workspace: permission denied',
    ],
)
def test_all_ways_to_say_it_are_one_sentence_with_the_remedy(said: str) -> None:
    error = classify_text(said)
    assert isinstance(error, UnseenFolderError)
    assert error.reason is Reason.ENGINE_UNSUITABLE
    assert "/tmp/" in str(error)
    assert "set TMPDIR (on a server HEADWAY_DATA_DIR) to a folder that it sees" in str(error)
    assert ("let the engine's user enter" in str(error)) is ("permission denied" in said)
    assert "\n" not in str(error)


@pytest.mark.engine
def test_the_engine_refuses_a_folder_and_does_not_make_it(ran: JobRunner, tmp_path: Path) -> None:
    spec = ContainerSpec(
        image="busybox", labels=job_labels(f"test-{secrets_hex()}", 1), network="none",
        folders=(Folder(tmp_path / "none", "/none"),),
    )  # fmt: skip
    with pytest.raises(UnseenFolderError, match=f"{tmp_path}/none"):
        ran.engine.create(spec)
    assert not (tmp_path / "none").exists()


@pytest.mark.engine
def test_a_users_own_volume_is_made_as_docker_makes_it(ran: JobRunner, tmp_path: Path) -> None:
    job = ran(shell("touch /mine/file", box=container(volumes=(f"{tmp_path}/volume:/mine",))))
    assert job.outcome.state is State.PASSED
    assert (tmp_path / "volume" / "file").exists()


@pytest.mark.engine
def test_a_folder_that_may_only_be_read_cannot_be_written(ran: JobRunner, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    spec = ContainerSpec(
        image="busybox", labels=job_labels(f"test-{secrets_hex()}", 1), network="none", command=("touch", "/f/file"),
        folders=(Folder(tmp_path / "folder", "/f", read_only=True),),
    )  # fmt: skip
    made = ran.engine.create(spec)
    try:
        ran.engine.start(made)
        assert ran.engine.wait(made, 30) == 1
    finally:
        ran.engine.remove(made)


@pytest.mark.engine
@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount what the engine does not see")
@pytest.mark.parametrize("first", ["image: busybox, commands: ['true']", "build: ."])
def test_a_run_where_the_engine_does_not_see_says_so_before_the_first_step(tmp_path: Path, first: str) -> None:
    (tmp_path / ".headway.yml").write_text(f"steps: [{{name: one, {first}}}]\n")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN sleep 60\n")
    apart = tmp_path / "apart"
    apart.mkdir()
    program = 'mount -t tmpfs none "$0" && exec "$1" run'
    command = ["unshare", "--mount", "sh", "-c", program, str(apart), HEADWAY]
    env = {**os.environ, "TMPDIR": str(apart)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=50)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this machine does not allow mounts")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "the Docker Engine does not see a folder of Headway (invalid mount config" in " ".join(done.stdout.split())
    assert "RUN sleep" not in done.stdout
    assert list(apart.iterdir()) == []
