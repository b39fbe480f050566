"""Builds that would harm the engine or the server end with a sentence."""

import threading
from collections.abc import Callable

import pytest

from pipelines.state import Reason, State
from runner.events import Event, StepOutput
from runner.execution.job.options import Options
from tests.support.engine import JobRunner
from tests.support.plans import build, secrets_hex

pytestmark = pytest.mark.engine


def once_begun(do: Callable[[], None]) -> Callable[[Event], None]:
    """Calls ``do`` when an instruction of a build has written ``begun``."""

    def listen(event: Event) -> None:
        if isinstance(event, StepOutput) and b" begun" in event.data and b"RUN" not in event.data:
            do()

    return listen


def test_a_build_is_stopped_when_the_disk_is_nearly_full(ran: JobRunner) -> None:
    critical = threading.Event()
    sentence = "stopped: this job filled the disk"
    job = ran(
        build(timeout_s=60),
        files={"Dockerfile": f"FROM busybox\nRUN echo begun {secrets_hex()}; sleep 1000\n"},
        options=Options(grace_s=1, disk_problem=lambda: sentence if critical.is_set() else ""),
        on_event=once_begun(critical.set),
    )
    assert (job.step().state, job.step().reason) == (State.BROKEN, Reason.DISK_FULL)
    assert job.step().message == sentence


@pytest.mark.parametrize(
    "text",
    [
        "FROM busybox\nENV A=xxxxxxxxxxxxxxxx\n" + "ENV A=$A$A\n" * 45,
        "ARG A=xxxxxxxxxxxxxxxx\n" + "ARG A=$A$A\n" * 45 + "FROM $A\n",
    ],
)
def test_variables_that_multiply_each_other_end_the_build_before_it_begins(ran: JobRunner, text: str) -> None:
    job = ran(build(timeout_s=20), files={"Dockerfile": text})
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.INVALID_PIPELINE)
    assert "can grow it to more than 16,777,216 bytes; repeat no variable in its own value" in job.step().message


def test_variables_of_a_base_image_that_multiply_each_other_end_the_build(
    ran: JobRunner, given_image: Callable[..., str]
) -> None:
    base = given_image("FROM busybox\n" + "ONBUILD ENV A=${A:-xxxxxxxxxxxxxxxx}$A$A\n" * 45)
    job = ran(build(timeout_s=20), files={"Dockerfile": f"FROM {base}\n"})
    assert "the variables of an ONBUILD instruction of a base image" in job.step().message
