"""A step with ``failure: cancel``: the rest of its job ends with it, and the job has failed."""

import pytest

from pipelines.state import State
from tests.support.engine import JobRunner
from tests.support.plans import shell

pytestmark = pytest.mark.engine


def test_what_runs_beside_a_step_with_failure_cancel_is_ended_and_the_job_has_failed(ran: JobRunner) -> None:
    job = ran(
        shell("echo up; sleep 600", name="beside", needs=()),
        shell("exit 3", name="lint", needs=(), failure="cancel"),
        shell("echo late", needs=(1, 2), on_failure=True),
        shell("echo cleaning", needs=(2,), on_canceled=True),
    )
    assert job.states == [State.CANCELED, State.FAILED, State.SKIPPED, State.PASSED]
    assert (job.outcome.state, job.outcome.exit_code) == (State.FAILED, 3)
    assert "canceled by step 'lint', which failed" in job.step(1).message


def test_a_step_with_failure_cancel_that_passes_cancels_nothing(ran: JobRunner) -> None:
    job = ran(shell("true", failure="cancel"), shell("echo next"))
    assert job.states == [State.PASSED, State.PASSED]
