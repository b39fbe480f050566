"""Relays bytes between this process and a command in a container, in both directions at once."""

import os
import select
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from runner.docker.streams.attach import Attached
from runner.errors import MachineError
from runner.events import Stream

PIECE_BYTES = 16 * 1024


def relay(stream: Attached, source: int, outputs: dict[Stream, int]) -> None:
    """Copies from the descriptor ``source`` to the command, and its output, until the command has ended.

    Never waits to write to a command that itself waits until its output is read. Raises OSError.
    """
    waiting, reads = b"", True
    while not stream.ended:
        sources = [source] if reads and not waiting else []
        readable, writable = _ready(stream, sources, writes=bool(waiting))
        if stream.fileno() in readable and not _write(stream, outputs):
            return
        if source in readable:
            waiting = os.read(source, PIECE_BYTES)
            reads = bool(waiting)
            if not reads:
                with suppress(OSError):  # the command has ended
                    stream.end_input()
        elif writable:
            try:
                waiting = waiting[stream.send_some(waiting) :]
            except (BrokenPipeError, ConnectionResetError):
                waiting, reads = b"", False


def _ready(stream: Attached, sources: list[int], *, writes: bool) -> tuple[list[int], list[int]]:
    """Which descriptors can be read, and written to."""
    if stream.pending():
        return [stream.fileno()], []
    known = [stream.fileno()]
    readable, writable, _ = select.select([*known, *sources], known if writes else [], [])
    return readable, writable


def _write(stream: Attached, outputs: dict[Stream, int]) -> bool:
    """Copies the output that has arrived. False if the command has ended before it has read all of its input."""
    try:
        arrived = stream.read()
    except ConnectionResetError:
        return False
    for name, data in arrived:
        left = memoryview(data)
        while left:
            left = left[os.write(outputs[name], left) :]
    return True


@contextmanager
def raw_terminal(descriptor: int, resized: Callable[[os.terminal_size], None]) -> Iterator[None]:
    """The terminal passes on each key as it is, and ``resized`` gets its size, now and after each change."""

    def tell(_signal: int, _frame: FrameType | None) -> None:
        with suppress(OSError, MachineError):  # the shell has ended
            resized(os.get_terminal_size(descriptor))

    settings = termios.tcgetattr(descriptor)
    previous = signal.signal(signal.SIGWINCH, tell)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed ahead is for the shell
        tell(signal.SIGWINCH, None)
        yield
    finally:
        signal.signal(signal.SIGWINCH, previous)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, settings)
