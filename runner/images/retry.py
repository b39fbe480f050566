"""Asks a registry again that could not answer just now."""

import time
from collections.abc import Callable
from typing import TypeVar

from runner.errors import RegistryBusyError
from runner.logs.output import Write

PAUSES_S = (0.5, 1.0, 2.0)
"""The pause before each further try."""
_CHECK_EVERY_S = 0.2
T = TypeVar("T")


def with_retries(ask: Callable[[], T], write: Write, check: Callable[[], None]) -> T:
    """What ``ask`` returns, tried again while a registry answers that it cannot serve now (HTTP 5xx).

    ``write`` tells of each further try. ``check`` is called during the pauses and may raise to end them.
    """
    for pause_s in PAUSES_S:
        try:
            return ask()
        except RegistryBusyError as error:
            write(f"{error}; trying again in {pause_s:g} s")
        deadline_s = time.monotonic() + pause_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            check()
            time.sleep(min(left_s, _CHECK_EVERY_S))
    return ask()
