"""`headway shell RUN STEP`: opens a shell in a running step of a server."""

import asyncio
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipelines.visible import visible_line
from runner.cli import exit_status
from runner.network.egress import EgressSettings
from web.client.api import connected, egress_of_environment
from web.client.servers import Server
from web.client.shells.connection import ShellConnection, refusals
from web.client.shells.relay import ShellEnd, TerminalShell, terminal_size
from web.client.shells.step_choice import find_step, run_meant
from workers.errors import StartError

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_SIGNAL_STATUS = 128
"""What shells add to the number of the signal that ended a program."""


def open_server_shell(words: Sequence[str], server: str, repo_here: Callable[[], str]) -> int:
    """Opens the shell that the words ``[REPO] RUN STEP`` mean. Returns its exit status, or one of ``exit_status``.

    Standard input must be a terminal. ``repo_here`` names the repository of this folder, and raises StepError.
    """
    try:
        company = egress_of_environment()
        place = run_meant(words[:-1], server, repo_here)
        with connected(place.server) as api:
            step_id = find_step(api, place, words[-1])
        ended = asyncio.run(_session(place.server, step_id, company))
    except StartError as error:
        _say(f"headway: {error}")
        return exit_status.BROKEN
    if isinstance(ended, signal.Signals):
        return _SIGNAL_STATUS + ended
    _say(ended.sentence)
    return exit_status.BROKEN if ended.exit_status is None else ended.exit_status


async def _session(server: Server, step_id: int, company: EgressSettings) -> ShellEnd | signal.Signals:
    """How the shell ended, or the signal that ended this program. Raises StartError."""
    source, output = sys.stdin.fileno(), sys.stdout.fileno()
    connection = ShellConnection(server, step_id, terminal_size(source), company)
    with _ended_by_signals() as received:
        try:
            with refusals(server):
                socket = await connection
            async with socket:
                return await TerminalShell(socket, source, output).run()
        except (asyncio.CancelledError, OSError, termios.error):  # the terminal may have been closed, too
            if not received:  # Ctrl-C, which asyncio turns into KeyboardInterrupt
                raise
            return received[0]


@contextmanager
def _ended_by_signals() -> Iterator[list[signal.Signals]]:
    """Cancels the current task at a signal, so that the terminal is restored before the process ends."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        received.append(number)
        if task is not None:
            task.cancel()

    for each in _SIGNALS:
        loop.add_signal_handler(each, end, each)
    try:
        yield received
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)


def _say(sentence: str) -> None:
    sys.stderr.write(f"{visible_line(sentence)}\n")
    sys.stderr.flush()
