"""``headway shell RUN STEP`` as a person calls it: in a terminal, against a real server, worker and step."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.state import Outcome, Reason, State
from runner.events import StepFinished, StepStarted
from tests.chaos.proxy import Mode, Proxies
from tests.support.repos import WHO
from tests.support.shells import UNTIL_ENDED, RunningStep, running_step, shell
from tests.support.terminal import TerminalProgram, in_terminal
from tests.support.working import PushWorker
from tests.web.conftest import REPO as HARBOUR
from tests.web.conftest import Site, serving
from web.client.shells.relay import LOST
from workers.db.roles import Role
from workers.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.slow]
REPO = "acme/roof"
GOES_ON = UNTIL_ENDED.replace("500", "2400")  # two minutes at most: each program takes a while to start
FORGE = "https://git.test"
HEADWAY = [sys.executable, "-c", "from runner.cli.start import main; main()"]


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[PushWorker]:
    worker = PushWorker(settings, tmp_path / "worker")
    yield worker
    worker.close()


class Laptop:
    """Another computer, whose user has a role on the repository."""

    def __init__(self, site: Site, folder: Path, repo: str, role: Role = Role.WRITE) -> None:
        self.site, self.folder = site, folder
        self.token = site.token(site.add_user(f"{role}-user", is_admin=False))
        site.give_role(f"{role}-user", role, repo)
        folder.mkdir()

    def env(self, url: str) -> dict[str, str]:
        return {
            "HOME": str(self.folder), "HEADWAY_SERVER": url, "HEADWAY_TOKEN": self.token, "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }  # fmt: skip

    @contextmanager
    def shell(self, url: str, *words: str) -> Iterator[TerminalProgram]:
        """A shell in a terminal of 100 columns and 30 lines."""
        with in_terminal([*HEADWAY, "shell", *words], self.folder, self.env(url)) as program:
            program.resize(100, 30)
            yield program

    def refused(self, url: str, *words: str) -> str:
        """What it says where there is no shell."""
        with self.shell(url, *words) as program:
            said = program.read_all().decode()
        assert program.process.returncode == 3, said
        assert "Traceback" not in said
        return said

    def end(self, url: str, running: RunningStep) -> None:
        """Ends the step."""
        with shell(url, running.step.id, {"authorization": f"Bearer {self.token}"}) as client:
            client.type("touch ../end\n")
            client.until_end()


@pytest.fixture
def laptop(site: Site, worker: PushWorker, tmp_path: Path) -> Laptop:
    return Laptop(site, tmp_path / "laptop", REPO)


def until_open(program: TerminalProgram) -> None:
    """Waits until the shell answers."""
    program.read_until(b"# ")
    program.press(b"echo is-$((1 + 1))-open\r")
    program.read_until(b"is-2-open")


def laptop_ends(url: str, laptop: Laptop) -> None:
    """Ends the step with a shell of its own."""
    with laptop.shell(url, REPO, "1", "waits") as program:
        until_open(program)
        program.press(b"touch ../end\r")
        said = program.read_all()
    assert program.process.returncode == 3
    assert said.endswith(b"The step has ended, and the shell with it.\r\n")


def test_a_shell_in_a_terminal(live_url: str, worker: PushWorker, laptop: Laptop) -> None:
    with running_step(worker, GOES_ON):
        with laptop.shell(live_url, REPO, "1", "waits") as program:
            before = program.settings()
            until_open(program)
            assert program.settings() != before, "each key goes to the shell"
            program.press(b"\x03")  # ends nothing here
            program.press(b"echo $((6 * 7))-$(pwd | tail -c 4)-$(stty size | tr ' ' x)\r")
            program.read_until(b"42-sub-30x100")
            program.resize(90, 20)
            program.press(b"sleep 0.5; echo now-$(stty size | tr ' ' x)\r")
            program.read_until(b"now-20x90")
            program.press(b"exit 5\r")
            said = program.read_all()
            assert program.settings() == before
        assert program.process.returncode == 5
        assert said.endswith(b"The shell has ended with exit status 5.\r\n")
        laptop_ends(live_url, laptop)
    assert "The step waits does not run now" in laptop.refused(live_url, REPO, "1", "waits")


def test_a_run_of_the_folders_repository_and_the_address_of_a_run(
    live_url: str, worker: PushWorker, laptop: Laptop
) -> None:
    remote = ["remote", "add", "origin", f"{FORGE}/{REPO}"]
    for command in (["init", "-q"], ["commit", "--allow-empty", "-m", "x"], remote):
        subprocess.run(["git", "-C", str(laptop.folder), *command], env=os.environ | WHO, check=True)
    with running_step(worker, GOES_ON):
        for words in (["1", "1"], [f"{live_url}/repos/{REPO}/runs/1", "waits"]):
            with laptop.shell(live_url, *words) as program:
                until_open(program)
                program.press(b"exit\r")
                program.read_all()
            assert program.process.returncode == 0
        laptop_ends(live_url, laptop)


def test_a_large_paste_into_a_program_that_answers_arrives(live_url: str, worker: PushWorker, laptop: Laptop) -> None:
    """Both directions are full, and none may wait for the other."""
    lines, line = 8_000, b"x" * 79
    with running_step(worker, GOES_ON) as running:
        with laptop.shell(live_url, REPO, "1", "waits") as program:
            until_open(program)
            program.press(b"stty raw -echo; head -c %d | tee /tmp/pasted; echo sum-$(md5sum </tmp/pasted); exit\r"
                          % (lines * 80))  # fmt: skip
            program.read_until(b"exit\r\n")
            typing = threading.Thread(target=program.press_all, args=[(line + b"\n") * lines])
            typing.start()
            shown = program.read_all()
            typing.join()
        assert shown.count(line) == lines
        laptop.end(live_url, running)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(
    live_url: str, worker: PushWorker, laptop: Laptop, number: signal.Signals
) -> None:
    with running_step(worker, GOES_ON) as running:
        with laptop.shell(live_url, REPO, "1", "waits") as program:
            before = program.settings()
            until_open(program)
            program.process.send_signal(number)
            program.read_all()
            assert program.settings() == before
        assert program.process.returncode == 128 + number
        laptop.end(live_url, running)


def test_a_lost_connection_restores_the_terminal(live_url: str, worker: PushWorker, laptop: Laptop) -> None:
    proxies = Proxies()
    proxy = proxies.add(int(live_url.rpartition(":")[2]))
    with running_step(worker, GOES_ON) as running:
        with laptop.shell(f"http://127.0.0.1:{proxy.port}", REPO, "1", "waits") as program:
            before = program.settings()
            until_open(program)
            proxies.change(proxy, Mode.CUT)
            said = program.read_all().decode()
            assert program.settings() == before
        assert program.process.returncode == 3
        assert said.endswith(f"{LOST}\r\n")
        laptop.end(live_url, running)
    proxies.close()


def test_each_refusal_is_a_sentence(site: Site, live_url: str, tmp_path: Path) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepStarted(2))
    off = replace(site.services, settings=site.services.settings.model_copy(update={"step_shells": False}))
    writer = Laptop(site, tmp_path / "writer", HARBOUR)
    reader = Laptop(site, tmp_path / "reader", HARBOUR, Role.READ)
    choices = "has no step 'tset'. Its steps: 'build' (running, number 1), 'test' (running, number 2), "
    assert choices in writer.refused(live_url, HARBOUR, "1", "tset")
    assert "has no run 9" in writer.refused(live_url, HARBOUR, "9", "test")
    assert "no repository named acme/none" in writer.refused(live_url, "acme/none", "1", "test")
    assert "this folder has no git remote" in writer.refused(live_url, "1", "test")
    assert "RUN is no number of a run" in writer.refused(live_url, HARBOUR, "one", "test")
    assert "The step build is a build, which has no container" in writer.refused(live_url, HARBOUR, "1", "build")
    assert "The step push does not run now" in writer.refused(live_url, HARBOUR, "1", "push")
    assert "needs the role write" in reader.refused(live_url, HARBOUR, "1", "test")
    with serving(off) as url:
        assert "HEADWAY_STEP_SHELLS is false" in writer.refused(url, HARBOUR, "1", "test")
    with begun.recorder() as record:
        record(StepFinished(2, Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1", 1)))
    hint = f"headway run --like http://localhost:8080/repos/{HARBOUR}/runs/1 --keep-on-failure"
    assert hint in writer.refused(live_url, HARBOUR, "1", "test").replace("\r\n", "")
    writer.token = "wrong"
    assert "does not accept the token" in writer.refused(live_url, HARBOUR, "1", "test")


def test_without_a_terminal_there_is_none(live_url: str, laptop: Laptop) -> None:
    done = subprocess.run(
        [*HEADWAY, "shell", REPO, "1", "waits"], env=laptop.env(live_url), input=b"ls\n", capture_output=True,
        check=False, cwd=laptop.folder,
    )  # fmt: skip
    assert done.returncode == 2
    assert b"needs a terminal" in done.stderr


STEP = {"id": 7, "number": 1, "name": "a", "state": "running"}
RUN = json.dumps({"number": 1, "jobs": [{"name": "", "cell": {}, "steps": [STEP]}]}).encode()


@contextmanager
def other_server(answer: bytes) -> Iterator[str]:
    """A server that knows the run, and answers the WebSocket's request with this; with nothing where it is empty."""
    with other_server_asked(answer) as (url, _):
        yield url


@contextmanager
def other_server_asked(answer: bytes) -> Iterator[tuple[str, threading.Event]]:
    """The same, and an event that is set when the WebSocket's request is there."""
    asked = threading.Event()

    def serve() -> None:
        for each in (b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(RUN), RUN), answer):
            connection, _ = listener.accept()
            connection.recv(65_536)
            if not each:
                asked.set()
                connection.recv(65_536)  # until the client leaves
            connection.sendall(each)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        thread.join(10)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "opens no WebSocket: HTTP 404. Either its version"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "opens no WebSocket: HTTP 200. Either its version"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://evil.test/\r\n\r\n", "leads to http://evil.test/"),
        (b"nonsense\r\n\r\n", "opens no WebSocket: "),
        (b'HTTP/1.1 503 No\r\ncontent-length: 20\r\n\r\n{"error": "Not now"}', "headway: Not now"),
    ],
)
def test_what_does_not_pass_websockets_on_is_named(laptop: Laptop, answer: bytes, said: str) -> None:
    with other_server(answer) as url:
        assert said in laptop.refused(url, REPO, "1", "a")


def test_ctrl_c_ends_it_while_it_connects(laptop: Laptop) -> None:
    with other_server_asked(b"") as (url, asked), laptop.shell(url, REPO, "1", "a") as program:
        before = program.settings()
        assert asked.wait(30)
        program.process.send_signal(signal.SIGINT)
        said = program.read_all()
        assert program.settings() == before
    assert program.process.returncode == 130
    assert b"Traceback" not in said
