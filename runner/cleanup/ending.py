"""Ends containers that still run, with time to clean up."""

import time
from collections.abc import Collection
from contextlib import suppress

from runner.docker.client import Engine
from runner.errors import StepError


def end_containers(engine: Engine, containers: Collection[str], grace_s: float) -> None:
    """Sends SIGTERM to all of them, and returns when the last has ended, or after ``grace_s``.

    Raises nothing: their removal, which follows, meets the same error.
    """
    deadline = time.monotonic() + grace_s
    with suppress(StepError, OSError):
        for container in containers:
            engine.kill(container, "SIGTERM")
        for container in containers:
            if (left_s := deadline - time.monotonic()) <= 0:
                return
            engine.wait(container, left_s)
