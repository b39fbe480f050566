"""Services in the image that a step of the job builds, and detached steps that say when they are ready."""

import pytest

from pipelines.state import Reason, State
from pipelines.step_options.ready import CommandCheck, PortCheck
from pipelines.step_options.retry_policy import Retry
from runner.events import ServiceChanged
from tests.support.engine import JobRunner
from tests.support.plans import build, container, service, shell

pytestmark = pytest.mark.engine

DOCKERFILE = "FROM busybox\nRUN echo built > /word\nENV WORD=here\n"
LISTEN = "sleep 0.5; nc -ll -p 5432 -e cat /word"
ASK = "nc web 5432 < /dev/null"


def test_a_service_runs_in_the_image_that_was_just_built(ran: JobRunner) -> None:
    job = ran(
        shell("! nslookup web"), build(), shell(ASK),
        files={"Dockerfile": DOCKERFILE},
        services=[service("web", LISTEN, box=container(2, directory=""), ready=PortCheck(port=5432))],
    )  # fmt: skip
    assert job.states == [State.PASSED] * 3, job.everything()
    assert job.said(3) == ["built"]
    changes = [event for event in job.events if isinstance(event, ServiceChanged)]
    seen = [(event.name, event.state, event.has_container) for event in changes]
    assert seen == [("web", "starting", False), ("web", "starting", True), ("web", "ready", False)]


def test_a_build_whose_service_does_not_get_ready_fails_with_its_log(ran: JobRunner) -> None:
    box = container(1, directory="")
    job = ran(
        build(name="app"), shell("true"),
        files={"Dockerfile": DOCKERFILE},
        services=[service("web", "echo no config in $WORD; exit 3", box=box, ready=PortCheck(port=1))],
    )  # fmt: skip
    assert job.states == [State.FAILED, State.SKIPPED]
    outcome = job.step(1)
    assert outcome.reason is Reason.SERVICE_FAILED
    assert "the service 'web' ended with exit code 3, and the steps wait for port 1" in outcome.message
    assert "no config in here" in outcome.message
    assert "headway: the service 'web' ended" in job.log(1).decode()
    changes = [event for event in job.events if isinstance(event, ServiceChanged)]
    assert [event.state for event in changes] == ["starting", "starting", "failed"]
    assert "no config in here" in changes[-1].message


def test_a_service_that_may_fail_does_not_fail_the_build(ran: JobRunner) -> None:
    box = container(1, directory="")
    job = ran(
        build(), shell("true"),
        files={"Dockerfile": DOCKERFILE},
        services=[service("web", "exit 3", box=box, ready=PortCheck(port=1), failure="ignore")],
    )  # fmt: skip
    assert job.states == [State.PASSED, State.PASSED]


def test_each_attempt_at_the_build_has_a_new_service(ran: JobRunner) -> None:
    """The checkout is the same for both: what the first service writes there, the second one finds."""
    once = "cd /headway/src; [ -e tried ] || { touch tried; exit 3; }; nc -ll -p 5432 -e hostname"
    job = ran(
        build(retry=Retry(attempts=1)), shell(f"test $({ASK}) = $({ASK})"),
        files={"Dockerfile": DOCKERFILE},
        services=[service("web", once, box=container(1, directory=""), ready=PortCheck(port=5432))],
    )  # fmt: skip
    assert job.states == [State.PASSED, State.PASSED], job.everything()
    assert job.step(1).message == "passed on attempt 2 of 2"


def test_the_steps_after_a_detached_one_wait_until_it_is_ready(ran: JobRunner) -> None:
    late = shell(
        "sleep 0.5", "touch up", "sleep 1000", name="web", detach=True, ready=CommandCheck(command="test -e up")
    )
    job = ran(late, shell("test -e up"))
    assert job.states == [State.PASSED, State.PASSED], job.everything()


def test_a_detached_step_that_does_not_get_ready_fails_the_job(ran: JobRunner) -> None:
    never = shell("echo waiting", "sleep 1000", name="web", detach=True, ready=PortCheck(port=9), ready_timeout_s=1)
    job = ran(never, shell("true"))
    assert job.states == [State.FAILED, State.SKIPPED]
    assert job.outcome.reason is Reason.SERVICE_FAILED
    assert "the step 'web' was not ready after 1 s: the steps wait for port 9" in job.step(1).message
    assert "waiting" in job.step(1).message


@pytest.mark.parametrize(("command", "state"), [("exit 0", State.FAILED), ("exit 4", State.FAILED)])
def test_a_detached_step_that_ends_before_it_is_ready_fails_the_job(ran: JobRunner, command: str, state: State) -> None:
    job = ran(shell(command, name="web", detach=True, ready=PortCheck(port=9)), shell("true"))
    assert job.states == [state, State.SKIPPED]


def test_a_failed_detached_step_may_be_ignored(ran: JobRunner) -> None:
    web = shell("exit 4", name="web", detach=True, ready=PortCheck(port=9), failure="ignore")
    assert ran(web, shell("true")).outcome.state is State.PASSED
