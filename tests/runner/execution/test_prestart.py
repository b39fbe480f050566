"""Which steps share a namespace, and what is started ahead."""

import re

import pytest

from pipelines.state import State
from runner.docker.job_network import Lanes
from runner.execution.job import Options
from runner.execution.memory import available_bytes
from tests.support.engine import Workshop
from tests.support.plans import container, shell


class Counted:
    """Stands for the job's sandboxes: gives out names."""

    def __init__(self, *, prepared: bool = True) -> None:
        self.made = 0
        self.prepared = prepared

    def open(self) -> str:
        return "network"

    def make(self) -> str:
        self.made += 1
        return f"sandbox-{self.made}"


def test_steps_one_after_another_share_one_namespace_though_none_has_ended() -> None:
    lanes = Lanes(Counted(), {1: (), 2: (1,), 3: (2,)})
    assert [lanes.join(step) for step in (1, 2, 3)] == ["container:sandbox-1"] * 3


def test_the_first_step_needs_no_namespace_unless_one_is_prepared() -> None:
    lanes = Lanes(Counted(prepared=False), {1: (), 2: (1,), 3: (2,)})
    assert [lanes.join(step) for step in (1, 2, 3)] == ["network", "container:sandbox-1", "container:sandbox-1"]


def test_steps_that_may_run_together_have_a_namespace_each() -> None:
    lanes = Lanes(Counted(), {1: (), 2: (1,), 3: (1,), 4: (2, 3)})
    assert [lanes.join(step) for step in (1, 2, 3)] == [f"container:sandbox-{lane}" for lane in (1, 1, 2)]
    assert lanes.join(4) in {"container:sandbox-1", "container:sandbox-2"}


def test_a_namespace_that_nobody_uses_any_more_is_taken_again() -> None:
    lanes = Lanes(Counted(), {1: (), 2: ()})
    first = lanes.join(1)
    lanes.leave(1)
    assert lanes.join(2) == first


def test_memory_is_infinite_where_the_system_does_not_say(tmp_path) -> None:
    assert available_bytes(tmp_path / "none") == float("inf")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    assert available_bytes(tmp_path / "meminfo") == 2 * 1024**2


@pytest.mark.engine
@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_a_step_cannot_tell_that_it_was_started_early(ran: Workshop, ahead: int) -> None:
    """Its clock, variables, folder and files are those of its turn, and its container is fresh."""
    first = shell("sleep 1", "date +%s > now", "mkdir late", "echo made > late/file", "touch /outside", name="first")
    late = shell(
        "test ! -e /outside", 'test "$CI_STEP_STARTED" -ge "$(cat ../now)"', "cat file", "pwd",
        box=container(directory="/headway/src/late"),
    )  # fmt: skip
    job = ran(first, late, shell("hostname"), options=Options(grace_s=1, steps_ahead_max=ahead))
    assert job.states == [State.PASSED] * 3, job.everything()
    assert job.said(2) == ["made", "/headway/src/late"]


@pytest.mark.engine
def test_after_a_failure_what_was_started_ahead_is_gone_and_what_cleans_up_still_runs(ran: Workshop) -> None:
    cleanup = shell("echo $CI_PIPELINE_STATUS", on_success=False, on_failure=True)
    job = ran(shell("sleep 0.5", "false"), shell("echo never"), shell("echo never"), cleanup)
    assert job.states == [State.FAILED, State.SKIPPED, State.SKIPPED, State.PASSED]
    assert job.log(2) == b""
    assert job.said(4) == ["failure"]


@pytest.mark.engine
def test_steps_that_run_together_may_use_the_same_port(ran: Workshop) -> None:
    serve = "(echo here | nc -l -p 8080) & sleep 1; nc 127.0.0.1 8080 < /dev/null"
    job = ran(shell(serve, needs=()), shell(serve, needs=()))
    assert job.states == [State.PASSED] * 2, job.everything()
    assert all(re.search(r"^here$", "\n".join(job.said(step)), re.MULTILINE) for step in (1, 2))
