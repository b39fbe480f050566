"""Supervises child processes: restarts them with back-off when they die, and stops them when this process ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

_BACK_OFF_S = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_LONG_LIFE_S = 60.0

# Asks the kernel to send TERM when the parent dies, even by kill -9, and then executes the program. The parent may have
# died before that. Only Linux can do this: elsewhere (a demo on macOS) the program outlives a parent that was killed.
_SHIM = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

_log = structlog.get_logger()


class Process(Protocol):
    """What the supervisor needs of a process: ``subprocess.Popen`` has it, and so has ``ForkedProcess``."""

    pid: int

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end. Raises subprocess.TimeoutExpired."""
        ...

    def send_signal(self, sig: int) -> None:
        """Sends a signal, if the process still runs."""
        ...


def headway_command(*arguments: str) -> list[str]:
    """The command line that runs headway with these arguments, whether it is installed as a script or not."""
    return [sys.executable, "-c", "from runner.cli.main import main; main()", *arguments]


def program(command: Sequence[str], environment: Mapping[str, str]) -> Callable[[], Process]:
    """Starts a program in a session of its own, so that Ctrl-C does not reach it: the supervisor ends it."""
    shim = [sys.executable, "-I", "-S", "-c", _SHIM]

    def start() -> Process:
        return subprocess.Popen(
            [*shim, str(os.getpid()), *command], env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )

    return start


class ChildProcess:
    """One process. Only the main thread may start it: the kernel ends it with the thread that started it.

    ``start`` starts it, and ``again`` after it died, if that is another way.
    """

    def __init__(
        self, name: str, start: Callable[[], Process], stop_s: float, again: Callable[[], Process] | None = None
    ) -> None:
        self.name = name
        self._start = start
        self._again = again or start
        self._stop_s = stop_s
        self._process: Process | None = None
        self._started_s = 0.0
        self._deaths = 0
        self._retry_s = 0.0

    def start(self) -> None:
        """Starts the process."""
        self._process = self._start()
        self._start = self._again
        self._started_s = time.monotonic()

    @property
    def pid(self) -> int | None:
        """The process id, until ``restart_if_dead`` or ``stop`` notices the end."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process is not None and self._process.poll() is None

    def restart_if_dead(self) -> float | None:
        """Starts the process again if it died: at once the first time in a minute, with back-off if it keeps dying.

        Returns the seconds after which to call this again, or None while the process runs.
        """
        if self.alive:
            return None
        now_s = time.monotonic()
        if self._process is not None:
            status, self._process = self._process.poll(), None
            self._deaths = 0 if now_s - self._started_s > _LONG_LIFE_S else self._deaths + 1
            pause_s = _BACK_OFF_S[min(self._deaths, len(_BACK_OFF_S)) - 1] if self._deaths else 0.0
            self._retry_s = now_s + pause_s
            _log.warning("a process of Headway ended and is restarted", process=self.name, status=status, in_s=pause_s)
        if now_s < self._retry_s:
            return self._retry_s - now_s
        self.start()
        return None

    def ask_to_stop(self) -> None:
        """Sends TERM."""
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Sends TERM, waits, and kills the process if it does not end in time."""
        self.ask_to_stop()
        if self._process is None:
            return
        try:
            self._process.wait(self._stop_s)
        except subprocess.TimeoutExpired:
            _log.warning("a process of Headway did not stop in time and was killed", process=self.name)
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._process = None
