"""Fixtures for all tests."""

import signal

pytest_plugins = ["tests.support.services", "tests.support.engine", "tests.support.disks", "tests.support.object_store"]

# A shell starts what it puts into the background with these ignored, and every program of a test would inherit that.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
