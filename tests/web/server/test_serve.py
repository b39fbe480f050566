"""``headway serve`` as a user starts it, with its private Redis and its child processes."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.stack import name_of
from tests.support.services import eventually, free_port
from web.server.private_redis import find_redis
from web.server.supervisor import ChildProcess, program
from workers.errors import StartError

HEADWAY = [sys.executable, "-c", "from runner.cli.main import main; main()"]


class Serve:
    """`headway serve` with a data directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self.log = folder / "serve.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
        self.env = {**kept, "HEADWAY_DATA_DIR": str(self.data), "HEADWAY_PORT": str(self.port)}
        self.env["HEADWAY_STEPS_REACH_HOST"] = "true"  # other tests change the host's rules
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: str = "serve") -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*HEADWAY, command], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        eventually(self.ready, 60)
        return self.process

    def refused(self, other: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Runs a server that cannot start; its exit status and output."""
        env = {**self.env, **other}
        return subprocess.run([*HEADWAY, "serve"], env=env, capture_output=True, text=True, timeout=60, check=False)

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200
        except httpx2.HTTPError:
            return False

    def children(self) -> list[int]:
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def family(self) -> list[int]:
        """The server's own process and its children."""
        assert self.process is not None
        return [self.process.pid, *self.children()]

    def child(self, word: str) -> int:
        return next(pid for pid in self.children() if word in command_of(pid) + name_of(pid))


LOG_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(info|warning|error) *\] |    |Traceback|  File|$|[\w.]+(Error|Exception): "
)
"""A line of the log, or of the traceback below one."""


def command_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def gone(pids: list[int]) -> Callable[[], bool]:
    """A check whether all have ended; a zombie counts as ended."""

    def ask() -> bool:
        for pid in pids:
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    return False
        return True

    return ask


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    server = Serve(tmp_path)
    yield server
    if server.process is not None and server.process.poll() is None:
        server.process.terminate()
        server.process.wait(60)


@pytest.mark.e2e
def test_all_processes_start_are_restarted_when_killed_and_stop_together(serve: Serve) -> None:
    process = serve.start()
    output = serve.log.read_text()
    assert f"Headway serves http://localhost:{serve.port}" in output
    assert f"http://localhost:{serve.port}/login?link=" in output
    umasks = {re.findall(r"Umask:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0] for pid in serve.family()}
    assert umasks == {"0077"}
    assert [path for path in (serve.data, *serve.data.rglob("*")) if path.stat().st_mode & 0o077] == []
    redis = serve.child("redis-server")
    scheduler = serve.child("headway-schedul")
    os.kill(redis, signal.SIGKILL)
    os.kill(scheduler, signal.SIGKILL)
    eventually(lambda: {redis, scheduler}.isdisjoint(serve.children()) and len(serve.children()) >= 2, 30)
    eventually(serve.ready, 30)
    family = serve.children()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert gone(family)()
    told = serve.log.read_text().partition("headway repo add https://git.example.org/team/app\n")[2]
    assert [line for line in told.splitlines() if not LOG_LINE.match(line)] == []


@pytest.mark.e2e
def test_no_child_process_outlives_a_killed_server(serve: Serve) -> None:
    process = serve.start()
    family = serve.children()
    assert len(family) >= 2
    process.kill()
    process.wait()
    eventually(gone(family), 45)


@pytest.mark.stress
def test_a_port_in_use_is_reported_before_anything_is_started(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", serve.port)):
        done = subprocess.run(
            [*HEADWAY, "serve"], env=serve.env, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1 port {serve.port}" in done.stderr
    assert f"--port {serve.port + 1}, or HEADWAY_PORT" in done.stderr
    assert not (serve.data / "headway.db").exists()


@pytest.mark.e2e
def test_headway_web_shuts_down_cleanly_with_an_open_stream(serve: Serve, redis_url: str) -> None:
    serve.env["HEADWAY_REDIS_URL"] = redis_url
    subprocess.run([*HEADWAY, "db", "upgrade"], env=serve.env, capture_output=True, check=True)
    process = serve.start("web")
    created = subprocess.run(
        [*HEADWAY, "token", "create", "admin", "t"], env=serve.env, capture_output=True, text=True, check=True
    )
    headers = {"authorization": f"Bearer {created.stdout.strip()}"}
    address = f"http://127.0.0.1:{serve.port}/api/stream"
    with httpx2.Client(timeout=60) as client, client.stream("GET", address, headers=headers) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(lines) == "event: changed"
        process.send_signal(signal.SIGTERM)
        assert "event: end" not in list(lines)
    assert process.wait(60) == 0


@pytest.mark.e2e
def test_a_second_server_on_the_same_data_is_refused(serve: Serve) -> None:
    serve.start()
    done = serve.refused({"HEADWAY_PORT": str(free_port())})
    assert done.returncode == 3
    assert "Another headway serve uses" in done.stderr


def test_without_redis_the_error_says_what_to_install_or_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError, match=r"(?s)apt-get install redis-server.*docker run .*HEADWAY_REDIS_URL=redis://"):
        find_redis(more_places="")


@pytest.mark.e2e
def test_valkey_is_used_where_there_is_no_redis(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, real in (("valkey-server", "redis-server"), ("git", "git"), ("docker", "docker")):
        (folder / name).symlink_to(shutil.which(real) or pytest.skip(f"{real} is not installed"))
    serve.env["PATH"] = str(folder)
    serve.start()
    assert serve.child("valkey-server")


def restarted(child: ChildProcess) -> bool:
    return child.restart_if_dead() is None


@pytest.mark.stress
def test_a_dead_child_is_restarted_and_a_running_one_is_not() -> None:
    child = ChildProcess("sleeper", program(["/bin/sleep", "600"], {}), 5)
    try:
        child.start()
        first = child.pid
        child.restart_if_dead()
        assert child.pid == first
        assert first is not None
        os.kill(first, signal.SIGKILL)
        eventually(lambda: not child.alive)
        eventually(lambda: restarted(child))
        assert child.pid != first
    finally:
        child.stop()
    assert not child.alive


def test_a_child_that_ignores_term_is_killed() -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    child = ChildProcess("stubborn", program(["/bin/sh", "-c", script], {"PATH": os.defpath}), 0.3)
    child.start()
    eventually(lambda: child.pid is not None and "trap" in command_of(child.pid))
    child.stop()
    assert not child.alive
