"""A job that has filled the disk ends so, whatever its steps do about it."""

import time
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.cleanup.discard import DISCARDED, discard_workspace, written_in_containers
from runner.events import Event, StepOutput
from runner.execution.job.options import Options
from tests.support.engine import JobRunner
from tests.support.plans import shell

pytestmark = pytest.mark.engine

SENTENCE = "stopped: this job filled the disk"


class Disk:
    """Full as soon as a step has said so."""

    problem = ""

    def __call__(self) -> str:
        return self.problem

    def listen(self, event: Event) -> None:
        if isinstance(event, StepOutput) and b"full now\n" in event.data:
            self.problem = SENTENCE


@pytest.mark.parametrize("end", ["exit 1", "exit 0", "trap '' TERM; sleep 1000"])
def test_no_exit_code_and_no_ignored_failure_hides_it_and_no_later_step_runs(ran: JobRunner, end: str) -> None:
    disk, began_s = Disk(), time.monotonic()
    job = ran(
        shell(f"echo full now; sleep 0.3; {end}", failure="ignore"),
        shell("echo later", on_failure=True),
        options=Options(grace_s=30, disk_problem=disk),
        on_event=disk.listen,
    )
    assert job.states == [State.BROKEN, State.SKIPPED]
    assert (job.step().reason, job.step().message) == (Reason.DISK_FULL, SENTENCE)
    assert job.outcome is not None
    assert (job.outcome.state, job.outcome.reason) == (State.BROKEN, Reason.DISK_FULL)
    assert time.monotonic() - began_s < 15, "it gets no time to clean up: its files are removed"


def test_its_containers_end_and_its_workspace_is_emptied(ran: JobRunner) -> None:
    found: list[object] = []

    def discard(event: Event) -> None:
        if isinstance(event, StepOutput) and b"full now\n" in event.data and not found:
            folder = ran.folder / "test-discarded"
            found.append(written_in_containers(ran.engine, folder).get("test-discarded-1"))
            found.append(discard_workspace(ran.engine, "test-discarded", folder))
            found.append(list((folder / DISCARDED).iterdir()))

    job = ran(
        shell(
            "mkdir -m 0 deep; ln -s / link; echo x > big; head -c 3000000 /dev/zero > /tmp/x; echo full now; sleep 100"
        ),
        on_event=discard,
        key="test-discarded",
    )
    written, *rest = found
    assert rest == [[], []]
    assert written is None or written == pytest.approx(3_000_000, rel=0.1)
    assert job.step().state in {State.FAILED, State.BROKEN}


def test_of_a_job_that_has_gone_already_nothing_is_discarded(ran: JobRunner, tmp_path: Path) -> None:
    (error,) = discard_workspace(ran.engine, "test-gone", tmp_path / "gone")
    assert isinstance(error, FileNotFoundError)
