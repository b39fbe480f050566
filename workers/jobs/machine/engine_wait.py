"""A worker that starts before its Docker Engine: it says so, waits, and goes on by itself."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.docker.endpoints.resolution import find_endpoint
from runner.docker.endpoints.transport import Transport
from runner.errors import MachineError
from workers.db.session import make_engine
from workers.jobs.machine.engine_watch import LOOK_AGAIN_S, as_sentence
from workers.jobs.machine.heartbeat import Heartbeat
from workers.settings import Settings

_log = structlog.get_logger()


def wait_for_engine(settings: Settings, heartbeat: Callable[..., Heartbeat]) -> None:
    """Returns when an engine answers. ``heartbeat`` makes the worker's, for a database and what its problem is.

    Raises MachineError where waiting cannot help: the address is wrong, this user may not use the engine, or the
    engine is too old.
    """
    _check_address(settings)
    if not (problem := _problem(settings)):
        return
    _log.warning("this worker takes no job", problem=problem)
    database = make_engine(settings.database)
    beats = heartbeat(database, lambda: problem)
    with _ended_by_signals():
        beats.start()
        try:
            while problem := _problem(settings):
                time.sleep(LOOK_AGAIN_S)
        finally:
            beats.stop()
            database.dispose()
    _log.info("the Docker Engine answers: this worker takes jobs")


def _check_address(settings: Settings) -> None:
    """Raises MachineError for an address that is none, and for certificates that cannot be read."""
    Transport(find_endpoint(os.environ, settings.docker_host), os.environ).close()


def _problem(settings: Settings) -> str:
    """Why there is no engine yet. Raises MachineError where waiting cannot help."""
    try:
        Engine(settings.docker_host or None).close()
    except MachineError as error:
        if error.reason is not Reason.ENGINE_GONE or isinstance(error.__cause__, PermissionError):
            raise
        return as_sentence(error)
    return ""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """TERM and INT end the process in order: it has no jobs yet."""

    def end(*_: object) -> None:
        raise SystemExit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
