"""Retries a request to a registry, with back-off."""

import time
from collections.abc import Callable
from typing import TypeVar

from runner.errors import RegistryBusyError
from runner.logs.output import Write

BACK_OFF_S = (0.5, 1.0, 2.0)
"""The pause before each retry."""
_CHECK_EVERY_S = 0.2
T = TypeVar("T")


def with_retries(ask: Callable[[], T], write: Write, check: Callable[[], None]) -> T:
    """Calls ``ask`` and returns its result. Retries while a registry answers with HTTP 5xx.

    ``write`` logs each retry. ``check`` is called during the pauses and may raise to stop.
    """
    for pause_s in BACK_OFF_S:
        try:
            return ask()
        except RegistryBusyError as error:
            write(f"{error}; retrying in {pause_s:g} s")
        deadline_s = time.monotonic() + pause_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            check()
            time.sleep(min(left_s, _CHECK_EVERY_S))
    return ask()
