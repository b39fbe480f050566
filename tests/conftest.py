"""Fixtures for all tests."""

import gc
import signal

pytest_plugins = ["tests.support.services", "tests.support.engine", "tests.support.disks", "tests.support.object_store"]

# A shell starts what it puts into the background with these ignored, and every program of a test would inherit that.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

# Collecting makes millions of objects that live as long as the process: looking for garbage among them took 40 % of its
# time, and would slow each test down.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on garbage is collected, of what the tests make."""
    gc.freeze()
    gc.enable()
