"""Steps that run again, on the engine: what each attempt has, and what is said of them."""

import pytest

from pipelines.state import Reason, State
from pipelines.step_options.retry_policy import Retry
from runner.events import ImageBuilt, StepMeasured, StepRetried
from tests.support.engine import JobRunner
from tests.support.plans import build, container, plugin, shell

pytestmark = pytest.mark.engine

ONCE = Retry(attempts=1)


def test_each_attempt_has_a_fresh_container_and_the_same_checkout(ran: JobRunner) -> None:
    job = ran(shell("hostname >> names", "test ! -e /here", "touch /here", "test $(wc -l < names) = 2", retry=ONCE))
    assert job.step().message == "passed on attempt 2 of 2", job.everything()
    (earlier,) = [event.attempts for event in job.events if isinstance(event, StepRetried)]
    assert [(each.outcome.state, each.outcome.exit_code) for each in earlier] == [(State.FAILED, 1)]
    assert earlier[0].log_end_bytes < len(job.log(1))
    used = [event for event in job.events if isinstance(event, StepMeasured)]
    assert len(used) in {0, 2}, "one for each attempt, where the engine's containers have groups of their own"


def test_a_plugin_runs_again_too(ran: JobRunner) -> None:
    script = "echo try; mkdir tried 2> /dev/null && exit 7; exit 0"
    job = ran(plugin(container(entrypoint=("sh", "-c", script)), retry=ONCE))
    assert job.step().message == "passed on attempt 2 of 2", job.everything()
    assert job.said() == ["try", "try"]


def test_a_build_runs_again_with_the_files_as_they_are_then(ran: JobRunner) -> None:
    """A step beside it makes the file that the first attempt lacks; the second one comes after it."""
    job = ran(
        build(retry=Retry(attempts=10, backoff_s=1), needs=()), shell("sleep 2", "touch late", needs=()),
        files={"Dockerfile": "FROM busybox\nCOPY late /late\n"},
    )  # fmt: skip
    assert job.states == [State.PASSED, State.PASSED], job.everything()
    assert job.step(1).message.startswith("passed on attempt ")
    assert len([event for event in job.events if isinstance(event, ImageBuilt)]) == 1


def test_a_build_that_keeps_failing_says_so(ran: JobRunner) -> None:
    job = ran(build(retry=ONCE), files={"Dockerfile": "FROM busybox\nRUN exit 3\n"})
    assert job.step().reason is Reason.BUILD_FAILED
    assert job.step().message.endswith("(attempt 2 of 2)")
