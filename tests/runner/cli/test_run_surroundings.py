"""``headway run`` where something around it is wrong: its outputs, its folders, its user, a slow engine."""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

import pytest

from runner.cleanup.folder_removal import remove_tree
from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL, ContainerSpec, job_labels
from runner.docker.endpoints.endpoint import UnixSocket
from tests.support.engine import eventually
from tests.support.plans import secrets_hex
from tests.support.remote_engine import socket_of

pytestmark = pytest.mark.engine

HEADWAY = str(Path(sys.executable).with_name("headway"))
PASSES = "steps:\n  - name: show\n    image: busybox\n    commands: ['ls -a', 'ls -aR | grep -c {}']\n"
NOBODY = 65534


def env_of(folder: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(folder.parent / "state")}


def run(folder: Path, redirect: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'exec "$0" run {redirect}', HEADWAY]
    return subprocess.run(
        command, cwd=folder, env=env_of(folder) | env, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "app"
    made.mkdir()
    (made / ".headway.yml").write_text(PASSES.format("."))
    return made


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_run_needs_none_of_its_standard_streams(folder: Path, closed: str) -> None:
    done = run(folder, closed)
    assert (done.returncode, done.stderr) == (0, "")


def test_output_that_cannot_be_written_breaks_the_run_with_a_sentence(folder: Path) -> None:
    done = run(folder, ">/dev/full")
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_was_removed_is_named_in_a_sentence(folder: Path) -> None:
    command = ["sh", "-c", 'rm -r "$PWD"; exec "$0" run', HEADWAY]
    done = subprocess.run(command, cwd=folder, env=env_of(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("headway: the folder does not exist any more")


def test_a_second_interrupt_waits_for_no_step(folder: Path) -> None:
    text = """steps: [{name: show, image: busybox, commands: ["trap '' TERM", 'sleep 90']}]\n"""
    (folder / ".headway.yml").write_text(text)
    with subprocess.Popen([HEADWAY, "run"], cwd=folder, env=env_of(folder), stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert any(b"sleep 90" in line for line in process.stdout)
        while process.poll() is None:  # two at once may count as one
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        assert process.returncode == 130
        assert b"canceled in" not in process.stdout.read()  # the line of a step and a job that ended


@pytest.mark.parametrize("versioned", [False, True])
def test_the_folder_for_temporary_files_may_lie_in_the_source(folder: Path, *, versioned: bool) -> None:
    (folder / ".headway.yml").write_text(PASSES.format("headway-local") + "    failure: ignore\n")
    (folder / "deep" / "tmp").mkdir(parents=True)
    if versioned:
        git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.com"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
            subprocess.run([*git, *words], check=True)
    done = run(folder, TMPDIR=str(folder / "deep" / "tmp"))
    assert done.returncode == 0
    assert "show | 0\n" in done.stdout
    eventually(lambda: not list((folder / "deep" / "tmp").iterdir()))


class SlowEngine:
    """A proxy of the engine that delays a request for a network, and says for which job it was."""

    def __init__(self, engine: Engine, path: Path, delay_s: float) -> None:
        self.real = urlsplit(str(engine.connection.transport.address)).path
        self.delay_s = delay_s
        self.made_for = ""
        self.sockets = [socket.socket(socket.AF_UNIX)]
        self.sockets[0].bind(str(path))
        self.sockets[0].listen()
        self.threads: list[threading.Thread] = []
        self.start(self.serve)

    def start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        self.threads.append(threading.Thread(target=work, args=arguments))
        self.threads[-1].start()

    def serve(self) -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                client, engine = self.sockets[0].accept()[0], socket.socket(socket.AF_UNIX)
                self.sockets += [client, engine]
                engine.connect(self.real)
                self.start(self.pass_on, client, engine)
                self.start(self.pass_on, engine, client)

    def pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # either side has gone
            while data := source.recv(65536):
                found = re.search(rb'"Name": "headway-(local-[^"]*)-1"', data)
                if found:
                    time.sleep(self.delay_s)
                target.sendall(data)
                self.made_for = found[1].decode() if found else self.made_for
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for each in self.sockets:
            each.close()


def test_a_network_that_is_made_after_the_run_has_ended_is_removed(engine: Engine, folder: Path) -> None:
    if not isinstance(engine.connection.transport.address, UnixSocket):
        pytest.skip("the engine is not behind a Unix socket")
    (folder / ".headway.yml").write_text("steps: [{name: a, imag: busybox}]\n")
    place = Path(mkdtemp())
    with closing(SlowEngine(engine, place / "engine.sock", delay_s=2.0)) as slow:
        assert run(folder, DOCKER_HOST=f"unix://{place}/engine.sock").returncode == 2
        eventually(lambda: slow.made_for)
        label = f"{JOB_LABEL}={slow.made_for}"
        eventually(lambda: engine.networks_labelled(label))
        eventually(lambda: not engine.networks_labelled(label))
    shutil.rmtree(place)


def as_nobody(do: Callable[[], None], engine_socket: str) -> None:
    """In a thread with an ordinary user's rights to files, and the engine's group. Changes nothing without root."""

    def work() -> None:
        libc = ctypes.CDLL(None)
        libc.setfsgid(Path(engine_socket).stat().st_gid)
        libc.setfsuid(NOBODY)
        do()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(work).result()


def test_what_a_step_wrote_as_root_an_ordinary_user_can_remove(engine: Engine) -> None:
    place = Path(mkdtemp())
    folder = place / "job"
    folder.mkdir()
    folder.chmod(0o777)  # with userns-remap a step's root is another user
    spec = ContainerSpec(
        image="busybox", labels=job_labels(f"test-{secrets_hex()}", 1), network="none", binds=(f"{folder}:/job",),
        command=("sh", "-c", "mkdir -p /job/build/deep && touch /job/build/deep/x && chmod 700 /job/build"),
    )  # fmt: skip
    container = engine.create(spec)
    engine.start(container)
    assert engine.wait(container, 30) == 0
    engine.remove(container)
    if os.getuid() == 0:
        for path in (place, folder):
            os.chown(path, NOBODY, NOBODY)
    as_nobody(lambda: remove_tree(engine, folder), socket_of(engine))
    assert not folder.exists()
    place.rmdir()


def test_a_temporary_folder_that_cannot_be_mounted_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    done = run(folder, TMPDIR=str(tmp_path / "a:b"))
    assert done.returncode == 3
    assert "it has a colon; let TMPDIR" in done.stderr
    assert list((tmp_path / "a:b").iterdir()) == []
