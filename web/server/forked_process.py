"""Processes that are forked from one in which everything is imported: they share that memory.

Five processes that import for themselves take 390 MB at rest. The parent must have no threads, no connections and no
open database when it forks; ``gc.freeze`` keeps the garbage collector from writing into, and so copying, shared pages.
"""

import ctypes
import gc
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module

from sqlalchemy.orm import configure_mappers

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_NAME_CHARS_MAX = 15  # of the kernel
_POLL_S = 0.02
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def import_before_fork(modules: Iterable[str]) -> None:
    """Imports the modules, and keeps what is there out of the garbage collector's reach."""
    gc.disable()  # a collection would leave gaps in pages, which children then fill and so copy
    for name in modules:
        import_module(name)
    configure_mappers()
    gc.enable()
    gc.collect()
    gc.freeze()


def fork(name: str, main: Callable[[], int], close: Iterable[int] = ()) -> Callable[[], "ForkedProcess"]:
    """Starts such a process when called: see ``ForkedProcess``."""
    return partial(ForkedProcess, name, main, close)


class ForkedProcess:
    """Runs ``main`` in a child process, in a session of its own. It gets TERM when this process dies (on Linux).

    ``main`` returns the exit status. ``close`` are file descriptors of the parent that the child must not keep.
    """

    def __init__(self, name: str, main: Callable[[], int], close: Iterable[int] = ()) -> None:
        parent = os.getpid()
        self._status: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal to the child waits until the parent's handlers are gone there.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self.pid = os.fork()
        if self.pid == 0:
            _be_child(name, parent, main, close)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def poll(self) -> int | None:
        """The exit status, or None while it runs; minus the signal's number where a signal ended it."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end. Raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        deadline_s = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline_s is not None and time.monotonic() > deadline_s:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(_POLL_S)
        return status

    def send_signal(self, sig: int) -> None:
        """Sends a signal, if the process still runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)


def _be_child(name: str, parent: int, main: Callable[[], int], close: Iterable[int]) -> None:
    """Never returns: the parent's own code must not go on here."""
    status = 1
    try:
        for descriptor in close:
            os.close(descriptor)
        _set_up(name, parent)
        status = main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, it is shown, and the supervisor restarts the process
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _set_up(name: str, parent: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        libc.prctl(_PR_SET_NAME, name[:_NAME_CHARS_MAX].encode())
    if os.getppid() != parent:
        os._exit(1)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
