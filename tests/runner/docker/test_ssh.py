"""An engine behind ssh: steps, streams and builds through one relay, and what ssh says where that fails."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest

from pipelines.state import PASSED
from runner.docker.client import Engine
from runner.docker.endpoints.endpoint import Ssh, UnixSocket
from runner.docker.endpoints.ssh_relay import command_of
from runner.errors import MachineError
from tests.support.engine import JobRunner, eventually
from tests.support.plans import build, container, shell
from tests.support.remote_engine import Sshd, running_sshd, socket_of


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.fixture
def far(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """The server, found by the ssh on PATH. Nothing of a relay may be left after the test."""
    monkeypatch.setenv("PATH", f"{sshd.bin}:{os.environ['PATH']}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    known = sshd.known_hosts.read_text()
    before = relays()
    yield sshd
    sshd.known_hosts.write_text(known)
    sshd.allow()
    eventually(lambda: relays() <= before)


def relays() -> set[Path]:
    return set(Path(gettempdir()).glob("headway-ssh-*"))


def refusal() -> str:
    with pytest.raises(MachineError) as refused:
        Engine("ssh://far")
    return str(refused.value)


@pytest.mark.engine
def test_steps_and_builds_work_through_ssh(ran: JobRunner, far: Sshd) -> None:
    engine = Engine(f"ssh://far{socket_of(ran.engine)}")
    lines = 20_000
    files = {"Dockerfile": "FROM busybox\nRUN echo hi >/word\n"}
    job = ran(build(), shell("cat /word", f"seq {lines}", box=container(1)), engine=engine, files=files)
    engine.close()
    assert job.outcome == PASSED, job.everything()
    assert job.said(2) == ["hi", *map(str, range(1, lines + 1))]


@pytest.mark.engine
def test_the_socket_of_the_relay_is_for_its_owner_alone(engine: Engine, far: Sshd) -> None:
    through = Engine(f"ssh://far{socket_of(engine)}")
    address = through.connection.transport.address
    assert isinstance(address, UnixSocket)
    assert Path(address.path).parent.stat().st_mode & 0o777 == 0o700
    through.close()
    assert not Path(address.path).parent.exists()


@pytest.mark.engine
def test_a_relay_ends_with_a_process_that_is_killed(engine: Engine, far: Sshd) -> None:
    program = (
        "import sys, time; from runner.docker.client import Engine; e = Engine(sys.argv[1]);"
        " print('up', flush=True); time.sleep(99)"
    )
    place = f"ssh://far{socket_of(engine)}"
    with subprocess.Popen([sys.executable, "-c", program, place], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        assert relays()
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not relays())
    assert "dial-stdio" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_an_unknown_host_key_is_said(far: Sshd) -> None:
    far.known_hosts.write_text("")
    said = refusal()
    assert "no Docker Engine answers at ssh://far (HEADWAY_DOCKER_HOST): ssh said: " in said
    assert "run `ssh far` once by hand" in said


@pytest.mark.slow
def test_a_key_that_is_not_let_in_is_said(far: Sshd) -> None:
    (far.folder / "authorized_keys").write_text("")
    assert "Permission denied (publickey)" in (said := refusal())
    assert "ssh-add" in said


def test_a_machine_without_docker_is_said(far: Sshd) -> None:
    far.allow('command="PATH=/nonesuch; $SSH_ORIGINAL_COMMAND"')
    assert "that user has no docker command on far" in refusal()


def test_an_engine_that_does_not_run_there_is_said(far: Sshd) -> None:
    with pytest.raises(MachineError) as refused:
        Engine("ssh://far/nonesuch.sock")
    assert "does an engine run there" in str(refused.value)


def test_without_an_ssh_here_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    (tmp_path / "rm").symlink_to("/bin/rm")
    (tmp_path / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install openssh-client" in refusal()
    eventually(lambda: not relays())


@pytest.mark.slow
def test_the_command_line_says_who_where_and_what() -> None:
    command = command_of(Ssh("far", "me", 2222, "/run/my docker.sock"), Path("/private"))
    assert command[-1] == "docker --host 'unix:///run/my docker.sock' system dial-stdio"
    assert command[-7:-1] == ["-l", "me", "-p", "2222", "--", "far"]
    assert command_of(Ssh("-oProxyCommand=x"), Path("/private"))[-3:-1] == ["--", "-oProxyCommand=x"]
