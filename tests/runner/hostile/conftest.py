"""Whatever a hostile step did, the next job of the same engine runs, and nothing is left of either."""

from collections.abc import Iterator

import pytest

from tests.support.engine import JobRunner
from tests.support.plans import shell


@pytest.fixture(autouse=True)
def others_are_fine(ran: JobRunner) -> Iterator[None]:
    yield
    job = ran(shell("echo fine"))
    assert job.said() == ["fine"], job.everything()
    assert [found for each in ran.jobs for found in each.complaints] == []
