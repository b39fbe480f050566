"""Headway in parts, each a process that can be killed, stopped, frozen and started again, on several machines."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.e2e.stack import HEADWAY, Answer, ask, children
from tests.support.other_machine import OtherMachine
from tests.support.services import TEST_KEY, free_port

STOP_WITHIN_S = 60.0


class Part:
    """One command of Headway. Start it from the main thread: it dies with the thread that has started it."""

    def __init__(
        self, name: str, arguments: list[str], environment: Mapping[str, str], log: Path, machine: OtherMachine | None
    ) -> None:
        self.name, self.log, self.machine = name, log, machine
        self.command, self._environment = [sys.executable, str(HEADWAY), *arguments], environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it. Does nothing where it runs."""
        if self.alive:
            return
        if self.machine is not None:
            self._process = self.machine.popen(self.command, self._environment, self.log)
            return
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", *self.command], env=dict(self._environment),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pids(self) -> list[int]:
        """Its process, and the child processes of that one and theirs."""
        if self._process is None or self._process.poll() is not None:
            return []
        found = children(self._process.pid)
        return found if self.machine is not None else [self._process.pid, *found]

    def signal(self, number: signal.Signals, pids: list[int] | None = None) -> None:
        """Sends a signal to all its processes, or to these."""
        for pid in self.pids if pids is None else pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if number in {signal.SIGCONT, signal.SIGKILL} and self._process is not None:
            # nsenter stops itself when its child process is stopped.
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kills (-9) all its processes."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait(STOP_WITHIN_S)

    def ask_to_stop(self) -> None:
        """Sends TERM to its main process."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM, self.pids[:1])

    def stop(self) -> int | None:
        """Stops it with TERM; its exit status, or None where it did not end in time and was killed."""
        if self._process is None:
            return None
        self.ask_to_stop()
        try:
            return self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


class Site:
    """The parts of one installation, in ``folder``. ``shared`` are the settings of all parts."""

    def __init__(self, folder: Path, shared: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.parts: dict[str, Part] = {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWAY_", "DOCKER_"))}
        self._shared = kept | {
            "HEADWAY_PORT": str(self.port),
            "HEADWAY_BASE_URL": self.url,
            "HEADWAY_SECRET_KEYS": TEST_KEY,
            "HEADWAY_GRACE_S": "1",
            "HEADWAY_STEPS_REACH_HOST": "true",  # no rules in the firewall
            "HEADWAY_BUILDS_REACH_HOST": "true",
            **shared,
        }
        self.token = ""

    def environment(self, data: Path, **more: str) -> dict[str, str]:
        """The environment of a part whose data directory is ``data``."""
        return {**self._shared, "HEADWAY_DATA_DIR": str(data), **more}

    def add(self, name: str, *arguments: str, machine: OtherMachine | None = None, **more: str) -> Part:
        """Adds a part, not started: on this machine with a data directory of its own, or on ``machine`` with its."""
        data = self.folder / f"{name}-data" if machine is None else machine.data
        if machine is not None:
            more = {"HEADWAY_DOCKER_HOST": machine.docker_host, **more}
        log = self.folder / f"{name}.log"
        self.parts[name] = Part(name, list(arguments), self.environment(data, **more), log, machine)
        return self.parts[name]

    def migrate(self) -> None:
        """Makes the tables, and a token for ``api``."""
        self.headway("db", "upgrade")
        self.headway("user", "add", "admin", "--admin", stdin="a long enough password\n")
        self.token = self.headway("token", "create", "admin", "tests").strip().splitlines()[-1]

    def headway(self, *arguments: str, stdin: str = "") -> str:
        """What a command prints."""
        environment = self.environment(self.folder / "admin-data")
        done = subprocess.run(
            [HEADWAY, *arguments], env=environment, input=stdin, capture_output=True, text=True, check=False, timeout=90
        )
        assert done.returncode == 0, f"headway {arguments}: {done.stderr}{done.stdout}"
        return done.stdout

    def is_ready(self) -> bool:
        """True if the web server answers."""
        try:
            return ask(f"{self.url}/healthz").status == 200
        except OSError:
            return False

    def api(self, path: str, *, method: str = "GET", body: Any = None) -> Answer:
        """An answer of the API."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return ask(f"{self.url}/api{path}", method=method, body=data, headers=headers)

    def page(self, path: str) -> str:
        """A page, as HTML."""
        answer = ask(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status == 200, answer
        return answer.body.decode()

    def workers(self) -> int:
        """How many workers are alive."""
        return len(self.api("/workers").json)

    def stop(self) -> None:
        """Stops all parts, workers first, all at the same time."""
        for part in reversed(self.parts.values()):
            if part.alive:
                part.ask_to_stop()
        for part in reversed(self.parts.values()):
            part.stop()
