"""No engine answers: one sentence says why, and what to do."""

import ctypes
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from grp import getgrgid
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runner.docker.client import Engine
from runner.docker.endpoints.endpoint import Endpoint, Ssh, parse_address
from runner.docker.endpoints.unreachable import engine_unreachable
from runner.errors import MachineError

NOBODY = 65534


def sentence_for(docker_host: str) -> str:
    with pytest.raises(MachineError) as gone:
        Engine(docker_host)
    return str(gone.value)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without an engine."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "engine.sock"))
        made.listen()
        yield made


def test_no_socket_is_a_matter_of_starting_it(tmp_path: Path) -> None:
    said = sentence_for(f"unix://{tmp_path}/none.sock")
    assert f"no Docker Engine answers at unix://{tmp_path}/none.sock (HEADWAY_DOCKER_HOST): there is no such" in said
    assert "start it (systemctl start docker)" in said


def test_a_socket_without_a_listener_is_an_engine_that_has_stopped(listener: socket.socket, tmp_path: Path) -> None:
    listener.close()
    assert "no engine listens there: it has stopped; start it" in sentence_for(f"unix://{tmp_path}/engine.sock")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change its user id")
def test_who_may_not_use_the_socket_hears_of_its_group() -> None:
    adm = 4
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path := f"{folder}/engine.sock")
        os.chown(path, 0, adm)
        Path(path).chmod(0o660)
        Path(folder).chmod(0o711)

        def ask() -> str:
            ctypes.CDLL(None).setfsuid(NOBODY)
            return sentence_for(f"unix://{path}")

        with ThreadPoolExecutor(1) as thread:
            said = thread.submit(ask).result()
    assert f"root may not use it; run `sudo usermod -aG {getgrgid(adm).gr_name} root`, then log in again" in said


def test_other_engines_of_this_machine_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = home / "run"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    for place in (runtime / "docker.sock", home / ".colima/default/docker.sock"):
        place.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(place))
    meta = home / ".docker/contexts/meta/x/meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text('{"Name": "orbstack"}')
    said = sentence_for(f"unix://{home}/none.sock")
    assert f"{runtime}/docker.sock" in said
    assert f"{home}/.colima/default/docker.sock" in said
    assert f"export DOCKER_HOST=unix://{runtime}/docker.sock" in said
    assert "There are docker contexts: orbstack (docker context use NAME)" in said


def test_a_port_without_a_listener_is_said_so() -> None:
    assert "nothing listens on this port" in sentence_for("tcp://127.0.0.1:1")
    assert "is the address right" in sentence_for("tcp://no-such-host.invalid:2375")


def test_the_context_is_named_that_named_the_engine() -> None:
    address = parse_address("unix:///none.sock", "", None)
    error = engine_unreachable(
        Endpoint(address, "the docker context 'colima'"), FileNotFoundError(), {"HOME": "/nonesuch"}
    )
    assert "at unix:///none.sock (the docker context 'colima'): there is no such socket" in str(error)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("Host key verification failed.", "run `ssh -p 22 me@far` once by hand"),
        ("me@far: Permission denied (publickey).", "ssh-add"),
        ("bash: line 1: docker: command not found", "that user has no docker command on far"),
        ("sh: 1: docker: not found", "that user has no docker command on far"),
        ("permission denied while trying to connect to the Docker daemon socket", "may the user use it?"),
        ("kex_exchange_identification: Connection closed", "try `ssh -p 22 me@far docker version`"),
    ],
)
def test_what_ssh_says_is_passed_on_with_a_remedy(said: str, hint: str) -> None:
    error = engine_unreachable(Endpoint(Ssh("far", "me", 22)), EOFError(), {"HOME": "/nonesuch"}, said)
    assert f"no Docker Engine answers at ssh://me@far:22: ssh said: {said}; " in str(error)
    assert hint in str(error)
