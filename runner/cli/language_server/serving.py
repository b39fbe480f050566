"""Runs the language server on two pipes."""

import time
from queue import Empty, Queue
from threading import Thread
from typing import IO, TextIO

from runner.cli import exit_status
from runner.cli.language_server.messages import (
    PARSE_ERROR,
    MalformedMessageError,
    Message,
    ProtocolError,
    read_message,
    write_message,
)
from runner.cli.language_server.server import LanguageServer

DEBOUNCE_S = 0.2
WAIT_S_MAX = 2
"""A changed document is linted when the editor has been silent for the first time, at the latest after the second."""
MESSAGES_QUEUED_COUNT_MAX = 100

_Received = Message | MalformedMessageError | ProtocolError | None


def serve(source: IO[bytes], target: IO[bytes], err: TextIO) -> int:
    """Answers messages until the editor ends the session or closes the pipe, and returns the exit status."""
    received: Queue[_Received] = Queue(MESSAGES_QUEUED_COUNT_MAX)
    Thread(target=_receive, args=(source, received), daemon=True).start()
    server = LanguageServer(lambda message: write_message(target, message))
    changed_since = time.monotonic()
    while server.exit_code is None:
        if not server.changed:
            changed_since = time.monotonic()
        elif time.monotonic() > changed_since + WAIT_S_MAX:
            server.check()
            changed_since = time.monotonic()
            continue
        try:
            message = received.get(timeout=DEBOUNCE_S if server.changed else None)
        except Empty:
            server.check()
            continue
        match message:
            case MalformedMessageError():
                write_message(target, {"id": None, "error": {"code": PARSE_ERROR, "message": str(message)}})
            case ProtocolError():
                err.write(f"headway: {message}\n")
                return exit_status.USAGE
            case None:
                return exit_status.FAILED
            case _:
                server.handle(message)
    return server.exit_code


def _receive(source: IO[bytes], received: Queue[_Received]) -> None:
    while True:
        message: _Received
        try:
            message = read_message(source)
        except (MalformedMessageError, ProtocolError) as error:
            message = error
        received.put(message)
        if message is None or isinstance(message, ProtocolError):
            return
