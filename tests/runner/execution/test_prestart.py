"""Which steps share a sandbox, and prestarted containers."""

import re
from pathlib import Path

import pytest

from pipelines.state import State
from runner.docker.job_network import JobNetwork, SandboxAllocator
from runner.execution.free_memory import available_bytes
from runner.execution.job import Options
from tests.support.engine import JobRunner
from tests.support.plans import container, shell


class FakeNetwork(JobNetwork):
    """A job network without an engine: it returns names and counts the sandboxes."""

    def __init__(self, *, prestarted: bool = True) -> None:
        self._created = 0
        self._has_prestarted = prestarted

    @property
    def has_prestarted_sandbox(self) -> bool:
        return self._has_prestarted

    def ensure(self) -> str:
        return "network"

    def take_sandbox(self) -> str:
        self._created += 1
        return f"sandbox-{self._created}"


def test_steps_one_after_another_share_one_sandbox_though_none_has_ended() -> None:
    allocator = SandboxAllocator(FakeNetwork(), {1: (), 2: (1,), 3: (2,)})
    assert [allocator.allocate(step) for step in (1, 2, 3)] == ["container:sandbox-1"] * 3


def test_the_first_step_needs_no_sandbox_unless_one_was_prestarted() -> None:
    allocator = SandboxAllocator(FakeNetwork(prestarted=False), {1: (), 2: (1,), 3: (2,)})
    assert [allocator.allocate(step) for step in (1, 2, 3)] == ["network", "container:sandbox-1", "container:sandbox-1"]


def test_steps_that_may_run_at_the_same_time_get_different_sandboxes() -> None:
    allocator = SandboxAllocator(FakeNetwork(), {1: (), 2: (1,), 3: (1,), 4: (2, 3)})
    assert [allocator.allocate(step) for step in (1, 2, 3)] == [f"container:sandbox-{number}" for number in (1, 1, 2)]
    assert allocator.allocate(4) in {"container:sandbox-1", "container:sandbox-2"}


def test_the_sandbox_of_a_step_that_has_ended_is_used_again() -> None:
    allocator = SandboxAllocator(FakeNetwork(), {1: (), 2: ()})
    first = allocator.allocate(1)
    allocator.release(1)
    assert allocator.allocate(2) == first


def test_available_memory_is_infinite_if_the_system_does_not_tell(tmp_path: Path) -> None:
    assert available_bytes(tmp_path / "none") == float("inf")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    assert available_bytes(tmp_path / "meminfo") == 2 * 1024**2


@pytest.mark.engine
@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_a_step_cannot_tell_that_it_was_prestarted(ran: JobRunner, ahead: int) -> None:
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
def test_after_a_failure_prestarted_containers_are_removed_and_failure_steps_still_run(ran: JobRunner) -> None:
    cleanup = shell("echo $CI_PIPELINE_STATUS", on_success=False, on_failure=True)
    job = ran(shell("sleep 0.5", "false"), shell("echo never"), shell("echo never"), cleanup)
    assert job.states == [State.FAILED, State.SKIPPED, State.SKIPPED, State.PASSED]
    assert job.log(2) == b""
    assert job.said(4) == ["failure"]


@pytest.mark.engine
def test_steps_that_run_together_may_use_the_same_port(ran: JobRunner) -> None:
    serve = "(echo here | nc -l -p 8080) & sleep 1; nc 127.0.0.1 8080 < /dev/null"
    job = ran(shell(serve, needs=()), shell(serve, needs=()))
    assert job.states == [State.PASSED] * 2, job.everything()
    assert all(re.search(r"^here$", "\n".join(job.said(step)), re.MULTILINE) for step in (1, 2))
