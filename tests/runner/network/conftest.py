"""Fixtures: the rules of the engine's host, which all tests on this engine share."""

from collections.abc import Iterator
from fcntl import LOCK_EX

import pytest

from tests.support.host_rules import lock


@pytest.fixture
def rules_alone() -> Iterator[None]:
    """No other test has its rules set, or needs those of a worker, at the same time."""
    with lock(LOCK_EX):
        yield
