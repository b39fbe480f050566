"""``headway shell``: starts the kept container of a failed step again, and runs a shell in it.

The container's first process is its gate (runner/execution/container/gate.py), which waits for a script on its standard
input. It gets none: it waits as long as this process is attached, and the shell is another process beside it. When this
process ends, in whatever way, the gate reads end-of-file, and the container ends with all that runs in it.
"""

import os
import sys
import time
from contextlib import ExitStack, suppress
from fcntl import LOCK_EX, LOCK_NB
from functools import partial
from pathlib import Path

from pipelines.state import Reason
from pipelines.visible import visible_line
from runner.cli import exit_status
from runner.cli.shell.kept_failure import KeptFailure, KeptFailures, kept_failures, remove_kept
from runner.cli.shell.relay import raw_terminal, relay
from runner.docker.client import Engine
from runner.docker.interactive import open_exec, resize_exec
from runner.errors import MachineError, StepError
from runner.events import Stream
from runner.file_locks import locked_file

SHELL = "headway_shell=$(command -v bash || command -v sh)\n"
EXEC = 'exec "$headway_shell"\n'
END_TIMEOUT_S = 10
KILLED = 137
"""The exit status of a program that SIGKILL has ended."""
KILLED_TIMEOUT_S = 2
RESIZE_TRIES_MAX = 10
_POLL_S = 0.05


def open_shell(folder: Path) -> int:
    """Opens the shell. Returns its exit status, or one of ``exit_status`` where there is none."""
    failures, kept = _find(folder)
    if kept is None:
        return exit_status.USAGE
    try:
        with ExitStack() as stack:
            try:
                stack.enter_context(locked_file(failures.lock(kept.repository), LOCK_EX | LOCK_NB))
            except BlockingIOError:
                _say("another `headway shell` is open in it; leave that one first")
                return exit_status.USAGE
            engine = Engine()
            stack.callback(engine.close)
            if engine.inspect(kept.container) is None:
                hint = "if you use the same engine as that run, run `headway run --keep-on-failure` again"
                _say(f"the container of {kept.step} is not in this Docker Engine (any more); {hint}")
                return exit_status.USAGE
            return _run(engine, kept)
    except KeyboardInterrupt:
        return exit_status.INTERRUPTED
    except (StepError, OSError) as error:
        _say(str(error))
        return exit_status.BROKEN


def remove_shell(folder: Path) -> int:
    """Removes what is kept of the folder."""
    failures, kept = _find(folder)
    if kept is None:
        return exit_status.USAGE
    try:
        engine = Engine()
        try:
            errors = remove_kept(engine, failures, kept)
        finally:
            engine.close()
    except (StepError, OSError) as problem:
        errors = [problem]
    for error in errors:
        _say(f"not all of it could be removed: {error}")
    if not errors:
        sys.stdout.write(f"{visible_line(f'removed: {kept.step} of {kept.title}')}\n")
    return exit_status.BROKEN if errors else exit_status.DONE


def _find(folder: Path) -> tuple[KeptFailures, KeptFailure | None]:
    failures, repository = kept_failures(os.environ), str(folder.resolve())
    kept = failures.of(repository)
    if kept is None:
        hint = "`headway run --keep-on-failure` keeps a job that fails"
        _say(f"nothing is kept of {repository}; {hint}, until the next `headway run` there")
    return failures, kept


def _run(engine: Engine, kept: KeptFailure) -> int:
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    for note in _notes(engine, kept):
        sys.stderr.write(f"{visible_line(note)}\n")
    sys.stderr.flush()
    gate = engine.attach(kept.container)
    try:
        engine.start(kept.container)
        return _in_container(engine, kept, terminal=terminal)
    finally:
        gate.close()
        with suppress(StepError, OSError):  # it ends without this, too, but later
            engine.kill(kept.container, "SIGKILL")
            engine.wait(kept.container, END_TIMEOUT_S)


def _in_container(engine: Engine, kept: KeptFailure, *, terminal: bool) -> int:
    command = ["sh", "-c", f"{SHELL}{kept.preparation}{EXEC}"]
    variables = [f"TERM={os.environ.get('TERM') or 'xterm'}"] if terminal else []
    exec_id, stream = open_exec(engine, kept.container, command, variables, terminal=terminal)
    source, outputs = sys.stdin.fileno(), {Stream.STDOUT: sys.stdout.fileno(), Stream.STDERR: sys.stderr.fileno()}
    try:
        with ExitStack() as stack:
            if terminal:
                stack.enter_context(raw_terminal(source, partial(_resize, engine, exec_id)))
            relay(stream, source, outputs)
    finally:
        stream.close()
    code = _exit_code(engine, exec_id)
    if code in {None, KILLED}:  # an engine may say that the container runs a moment after it has killed all in it
        with suppress(StepError):
            engine.wait(kept.container, KILLED_TIMEOUT_S)
    if not _is_running(engine, kept.container):
        message = "the container has ended while the shell was open: another command has removed or stopped it"
        raise MachineError(Reason.INTERNAL, message)
    if code is None:
        raise MachineError(Reason.INTERNAL, "the Docker Engine does not say how the shell has ended")
    return code


def _is_running(engine: Engine, container: str) -> bool:
    return bool(((engine.inspect(container) or {}).get("State") or {}).get("Running"))


def _resize(engine: Engine, exec_id: str, size: os.terminal_size) -> None:
    """Older engines refuse the size of a terminal whose command is about to start. Raises MachineError."""
    for left in reversed(range(RESIZE_TRIES_MAX)):
        try:
            resize_exec(engine, exec_id, size.lines, size.columns)
        except MachineError:
            if not left:
                raise
            time.sleep(_POLL_S)
        else:
            return


def _exit_code(engine: Engine, exec_id: str) -> int | None:
    """How the shell ended, None if the engine does not know: its output may end a moment before it does."""
    deadline = time.monotonic() + END_TIMEOUT_S
    with suppress(StepError):  # the container is gone, and all that ran in it
        while time.monotonic() < deadline:
            if (code := engine.exec_exit_code(exec_id)) is not None:
                return code
            time.sleep(_POLL_S)
    return None


def _notes(engine: Engine, kept: KeptFailure) -> list[str]:
    notes = [f"{kept.step} of {kept.title}, as it failed; the end of the shell leaves it so, and keeps it"]
    ended = [each for each in kept.services if not _is_running(engine, each)]
    if ended:
        notes.append(f"note: {len(ended)} of {len(kept.services)} services do not run any more")
    if kept.secret_files:
        notes.append(f"note: files of secrets are gone, as all that was in memory: {', '.join(kept.secret_files)}")
    return notes


def _say(sentence: str) -> None:
    sys.stderr.write(f"{visible_line(f'headway: {sentence}')}\n")
