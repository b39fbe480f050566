"""Another machine: a Docker Engine of its own, and processes beside it, in namespaces of their own.

It shares the network of this machine, so that it reaches servers on 127.0.0.1, and no engine, process or host name.
``lose_power`` ends all of it at once.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from runner.docker.client import Engine
from tests.support.paths import ROOT
from tests.support.services import need

START_WITHIN_S = 60.0
STOP_WITHIN_S = 40.0
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def child_processes(pid: int) -> list[int]:
    """The process ids of a process's own children."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def name_of(pid: int) -> str:
    """The name of a process; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


class OtherMachine:
    """A machine named ``name``. What it has on its disk is in ``folder``, and outlives ``lose_power`` and ``stop``."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.data = folder / "data"
        self.docker_host = f"unix://{folder}/engine/docker.sock"
        self._script: subprocess.Popen[bytes] | None = None
        self._unshare = self._first = 0
        folder.mkdir(exist_ok=True)

    def start(self) -> None:
        """Starts it, with what is on its disk, and waits until its engine answers."""
        self.begin_to_start()
        self.wait_for_start()

    def begin_to_start(self) -> None:
        """Starts it. Call it from the main thread: the machine ends with the thread that has started it."""
        script = ROOT / "scripts/engine_beside.sh"
        with (self.folder / "machine.log").open("ab") as log:
            self._script = subprocess.Popen(
                ["setpriv", "--pdeathsig=TERM", script, self.name, self.folder / "engine"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def wait_for_start(self) -> None:
        """Waits until its engine answers."""
        self._wait("the machine starts", lambda: self._find_first() and self.answers(), START_WITHIN_S)

    def _find_first(self) -> bool:
        """Finds the first process of the machine: the child of ``unshare``."""
        assert self._script is not None
        for child in child_processes(self._script.pid):
            if name_of(child) == "unshare" and (found := child_processes(child)):
                self._unshare, self._first = child, found[0]
                return True
        return False

    def answers(self) -> bool:
        """True if its engine answers."""
        command = ["docker", "--host", self.docker_host, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0

    def engine(self) -> Engine:
        """A client of its engine, to be closed."""
        return Engine(self.docker_host)

    def load(self, *images: str) -> None:
        """Gives its engine images of this machine's engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as save:
            command = ["docker", "--host", self.docker_host, "load", "--quiet"]
            subprocess.run(command, stdin=save.stdout, check=True, capture_output=True, timeout=120)
        assert save.returncode == 0

    def popen(self, command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Starts a process on it. Its own child, which ``program_of`` finds, is the command."""
        inside = ["nsenter", "--target", str(self._first), "--mount", "--pid", "--uts", "--", *command]
        with log.open("ab") as out:
            return subprocess.Popen(
                inside, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def processes(self) -> list[int]:
        """The process ids of all that runs on it, also in containers; not of what ``popen`` has started."""
        found, left = [], [self._first]
        while left:
            found.append(left.pop())
            left += child_processes(found[-1])
        return found

    def engine_process(self) -> int:
        """The process id of its engine, or 0 while there is none."""
        return next((pid for pid in child_processes(self._first) if name_of(pid) == "dockerd"), 0)

    def go_on(self) -> None:
        """Ends a stop of its first process: `unshare` stops itself with it."""
        for pid in (self._first, self._unshare):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def lose_power(self) -> None:
        """Ends all its processes at once: engine, containers, and what was started by ``popen``."""
        os.kill(self._first, signal.SIGKILL)
        self.go_on()
        self._ended()

    def stop(self) -> None:
        """Stops the engine, which ends its containers, and all processes. Does nothing where it does not run."""
        if self._script is not None:
            self.go_on()
            self._script.terminate()
            self._ended()

    def _ended(self) -> None:
        assert self._script is not None
        try:
            self._script.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            self.go_on()
            self._script.wait(STOP_WITHIN_S)
        self._script, self._first, self._unshare = None, 0, 0

    def _wait(self, what: str, check: Callable[[], bool], within_s: float) -> None:
        deadline_s = time.monotonic() + within_s
        while not check():
            assert self._script is not None
            log = (self.folder / "machine.log").read_text(errors="replace")[-2000:]
            assert self._script.poll() is None, f"{what}: it ended:\n{log}"
            assert time.monotonic() < deadline_s, f"{what}: not within {within_s} s:\n{log}"
            time.sleep(0.1)


def need_other_machines() -> None:
    """Skips the test where no other machine can be started; fails where CI is set."""
    path = f"{os.environ['PATH']}:{SBIN}"
    for program, package in (("dockerd", "Docker Engine"), ("ip", "iproute2"), ("nsenter", "util-linux")):
        need(shutil.which(program, path=path), package)
    if os.geteuid() != 0:
        need(None, "another machine's engine beside this one's (which needs root)")


@contextmanager
def other_machines(folder: Path, *names: str) -> Iterator[list[OtherMachine]]:
    """Running machines with busybox in their engines, until the end of the block."""
    need_other_machines()
    machines = [OtherMachine(name, folder / name) for name in names]
    try:
        for machine in machines:
            machine.begin_to_start()
        for machine in machines:
            machine.wait_for_start()
            machine.load("busybox:latest")
        yield machines
    finally:
        for machine in machines:
            machine.stop()
