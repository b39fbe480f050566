"""The scripts on other machines: fake programs in a folder that is the whole PATH."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import SCRIPTS

EVERYWHERE = ("bash", "cat", "cut", "dirname", "env", "grep", "readlink", "sed", "sleep", "timeout", "tr")
ANSWERS = """case "$*" in
  "buildx version" | "compose version") echo v0.20 ;;
  --version) echo "Docker version 29.1.0, build abc" ;;
  version*) echo 29.1.0 ;;
  "context inspect"*) echo default ;;
  *) exit 1 ;;
esac"""


class Machine:
    """A machine with the programs of every system, for a user who is not root. Tests add more programs by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.has_called_apt = folder / "apt-get-was-called"
        for name in EVERYWHERE:
            self.link(name)
        (folder / "python3").symlink_to(sys.executable)
        self.program("id", 'case "$1" in -u) echo 1000 ;; *) echo ada ;; esac')
        self.program("uname", "echo Linux")
        self.programs("git", "curl", "openssl")

    def link(self, name: str) -> None:
        (self.folder / name).symlink_to(shutil.which(name) or pytest.skip(f"{name} is not installed"))

    def program(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!{self.folder}/bash\n{script}\n")
        path.chmod(0o755)

    def programs(self, *names: str) -> None:
        for name in names:
            self.program(name, "exit 0")

    def without(self, name: str) -> None:
        (self.folder / name).unlink()

    def with_apt_as_root(self) -> None:
        self.program("id", 'case "$1" in -u) echo 0 ;; *) echo root ;; esac')
        self.program("apt-get", f": >'{self.has_called_apt}'; exit 1")

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([SCRIPTS / script, *arguments])

    def function(self, script: str) -> subprocess.CompletedProcess[str]:
        """Runs shell text with the functions of lib.sh."""
        return self._run(["bash", "-c", f'. "{SCRIPTS}/lib.sh"\n{script}'])

    def _run(self, command: list[str | Path]) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.folder), "HOME": str(self.folder), "HEADWAY_SBIN": str(self.folder)}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_with_an_engine_that_answers_nothing_is_installed(machine: Machine) -> None:
    machine.program("docker", ANSWERS)
    machine.with_apt_as_root()
    done = machine.run("machine.sh")
    assert done.returncode == 0, done.stderr
    assert "Redis and a registry. For the demo they run as containers" in done.stdout
    assert not machine.has_called_apt.exists()


def test_a_package_that_would_change_the_engine_that_answers_is_not_installed(machine: Machine) -> None:
    machine.program("docker", ANSWERS)
    machine.with_apt_as_root()
    machine.without("curl")
    installs = f"""case "$*" in
      *--simulate*) printf 'Inst curl (8.0 Debian)\nRemv docker-ce-cli [29.1]\nInst docker.io (26.1 Debian)\n' ;;
      *" -y "*) : >'{machine.has_called_apt}' ;;
    esac"""
    machine.program("apt-get", installs)
    done = machine.run("machine.sh")
    assert done.returncode == 1
    assert "apt would change what belongs to it: docker-ce-cli docker.io. Nothing was installed" in done.stderr
    assert not machine.has_called_apt.exists()


def test_an_installed_valkey_and_registry_are_used(machine: Machine) -> None:
    machine.program("docker", ANSWERS)
    machine.programs("valkey-server", "docker-registry")
    done = machine.run("machine.sh")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


PODMAN = {
    "podman-docker": 'case "$1" in --version) echo "podman version 5.2.1" ;; esac',
    "the socket of Podman": 'case "$*" in *Components*) echo "Podman Engine Conmon" ;; *) echo 5.2.1 ;; esac',
}


@pytest.mark.parametrize("script", PODMAN.values(), ids=PODMAN)
def test_podman_under_the_name_of_docker_is_refused_with_what_to_do(machine: Machine, script: str) -> None:
    machine.program("docker", script)
    for command in (["machine.sh"], ["engine.sh", "start"]):
        done = machine.run(*command)
        assert done.returncode == 1
        assert "docker is Podman" in done.stderr
        assert "dnf swap podman-docker docker-cli" in done.stderr


@pytest.mark.slow
def test_a_stopped_engine_that_a_context_names_is_not_replaced(machine: Machine) -> None:
    machine.program("docker", 'case "$1" in context) echo desktop-linux ;; *) exit 1 ;; esac')
    machine.with_apt_as_root()
    for command in (["machine.sh"], ["engine.sh", "start"]):
        done = machine.run(*command)
        assert done.returncode == 1
        assert "no Docker Engine answers at the docker context desktop-linux. Start it" in done.stderr
    assert not machine.has_called_apt.exists()


def test_on_macos_without_an_engine_the_message_names_the_engines_for_it(machine: Machine) -> None:
    machine.program("uname", "echo Darwin")
    machine.without("timeout")
    done = machine.run("machine.sh")
    assert done.returncode == 1
    assert "Start Docker Desktop, OrbStack or Colima" in done.stderr


def test_without_apt_the_setup_of_the_tests_ends_with_what_it_needs(machine: Machine) -> None:
    machine.program("docker", ANSWERS)
    done = machine.run("machine.sh", "--tests")
    assert done.returncode == 1
    assert "run this on Debian 12 or 13 or on Ubuntu, as root or with sudo" in done.stderr


def test_an_image_that_cannot_be_pulled_is_named_below_dockers_own_message(machine: Machine) -> None:
    machine.program("docker", 'case "$1" in version) ;; pull) echo toomanyrequests >&2; exit 1 ;; *) exit 1 ;; esac')
    done = machine.run("images.sh", "redis:7-alpine")
    assert done.returncode == 1
    assert done.stderr.startswith("toomanyrequests\n")
    assert "the engine has no image redis:7-alpine and cannot pull it" in done.stderr


def test_a_port_that_is_taken_is_named_with_the_variable_for_another(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = machine.run("free-port.sh", "HEADWAY_PORT", str(port), "Headway's page")
    assert done.returncode == 1
    assert f"HEADWAY_PORT={port + 1} make demo" in done.stderr


def test_without_the_program_timeout_a_command_keeps_its_exit_status(machine: Machine) -> None:
    machine.without("timeout")
    assert machine.function("with_timeout 30 bash -c 'exit 7'").returncode == 7
    assert machine.function("with_timeout 30 cat /dev/null").returncode == 0


@pytest.mark.stress
def test_without_the_program_timeout_a_command_that_takes_too_long_is_ended(machine: Machine) -> None:
    machine.without("timeout")
    assert machine.function("with_timeout 1 sleep 45").returncode not in (0, 124)


@pytest.mark.parametrize("program", ["sha256sum", "shasum"])
def test_a_checksum_is_made_with_the_installed_program(machine: Machine, program: str) -> None:
    machine.link(program)
    done = machine.function("printf abc | sha256")
    assert done.stdout.strip() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
