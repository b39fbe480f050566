"""Git where an answer is wanted soon and small, or not at all: it is ended with its children at a deadline."""

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from tempfile import TemporaryFile

from pipelines.state import Reason
from runner.errors import MachineError

_ERROR_BYTES_MAX = 64 * 1024
MEMORY_BYTES_MAX = 512 * 1024**2
"""Of each program of git. It keeps a server's whole answer in memory before it prints any of it."""

FILE_BYTES_MAX = 16 * 1024**2
"""Of each file that a program of git writes: what it says as errors, and its trace."""


class TooMuchOutputError(MachineError):
    """Git printed more than was allowed."""


class NoAnswerError(MachineError):
    """Git had not ended at the deadline."""


@dataclass(frozen=True)
class GitLimits:
    """All commands of one question together end at ``deadline_s`` of the monotonic clock.

    With ``cuts``, output is not read on beyond its limit, instead of TooMuchOutputError.
    """

    deadline_s: float
    output_bytes_max: int
    memory_bytes_max: int = MEMORY_BYTES_MAX
    file_bytes_max: int = FILE_BYTES_MAX
    cuts: bool = False


def execute_limited(
    command: Sequence[str], environment: Mapping[str, str], limits: GitLimits
) -> tuple[int, bytes, str]:
    """Exit status, output and errors.

    Raises TooMuchOutputError and NoAnswerError, and FileNotFoundError where there is no git.
    """
    left_s = max(0.0, limits.deadline_s - time.monotonic())
    with TemporaryFile() as errors:
        process = subprocess.Popen(
            command, cwd=os.sep, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
        )  # fmt: skip
        _limit(process, limits)
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            _end(process)

        timer = threading.Timer(left_s, expire)
        timer.daemon = True
        timer.start()
        with process:
            output = process.stdout.read(limits.output_bytes_max + 1) if process.stdout else b""
            if len(output) > limits.output_bytes_max:
                _end(process)
            process.wait()
            timer.cancel()
        if len(output) > limits.output_bytes_max:
            if limits.cuts:
                return 0, output[: limits.output_bytes_max], ""
            raise TooMuchOutputError(Reason.CLONE_FAILED, f"git printed more than {limits.output_bytes_max:,} bytes")
        size = errors.seek(0, os.SEEK_END)
        errors.seek(max(0, size - _ERROR_BYTES_MAX))
        said = errors.read().decode(errors="replace")
    if expired.is_set():
        raise NoAnswerError(Reason.CLONE_FAILED, "the repository's server did not answer in time")
    return process.returncode, output, said


def _limit(process: "subprocess.Popen[bytes]", limits: GitLimits) -> None:
    """Limits git and the programs that it starts. From outside: code in the child before it is git is not safe here."""
    memory, files = (limits.memory_bytes_max,) * 2, (limits.file_bytes_max,) * 2
    with suppress(ProcessLookupError, PermissionError):
        resource.prlimit(process.pid, resource.RLIMIT_DATA, memory)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, files)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends git and the programs that it has started: one that hangs would keep the output open."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
