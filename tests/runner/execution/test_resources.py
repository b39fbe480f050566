"""What a container may have, and what is known afterwards of what it used."""

from pathlib import Path

import pytest

from pipelines.plan import JobPlan, Step
from pipelines.state import Outcome, Reason, State
from pipelines.step_options.resources import Resources
from runner.docker.client import Engine
from runner.docker.containers.specs import Limits
from runner.errors import StepError
from runner.events import StepMeasured
from runner.execution.job.options import Options
from runner.execution.resources.limits import JobLimits, check_resources
from tests.support.engine import JobRunner, need_limit
from tests.support.fake_engine import DOCKER, fake_engine
from tests.support.job_result import JobResult
from tests.support.plans import build, container, numbered, plugin, push, service, shell

MIB = 1024**2
SERVER = Limits(memory_bytes=64 * MIB, cpus=2, pids=100, files=7)
SPIN = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"


def plan_of(resources: Resources, *, in_service: bool = False) -> JobPlan:
    box = container(resources=resources)
    steps: list[Step] = [build(), shell("x", box=container() if in_service else box), push(1, "host/owner/app")]
    services = (service("db", box=box),) if in_service else ()
    return JobPlan(name="t", file="f", number=1, steps=numbered(steps), services=services)


@pytest.mark.parametrize(
    ("in_service", "where"), [(False, "in step 'shell'"), (True, "in service 'db'")], ids=["step", "service"]
)
def test_a_worker_refuses_more_than_it_gives(in_service: bool, where: str) -> None:
    check_resources(plan_of(Resources(memory_bytes=64 * MIB, cpus=2, pids=100), in_service=in_service), SERVER)
    with pytest.raises(StepError, match=f"at most 100 here {where}; .*HEADWAY_STEP_PIDS_MAX, now 100") as raised:
        check_resources(plan_of(Resources(pids=101), in_service=in_service), SERVER)
    assert raised.value.reason is Reason.INVALID_PIPELINE


def test_the_limits_are_those_of_the_file_else_the_servers(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        limits = JobLimits(Engine(fake.host), SERVER)
        assert limits.of(container()) == SERVER
        asked = Resources(memory_bytes=32 * MIB, pids=50)
        assert limits.of(container(resources=asked)) == Limits(memory_bytes=32 * MIB, cpus=2, pids=50, files=7)


def used(job: JobResult, step: int = 1) -> StepMeasured:
    (found,) = [event for event in job.events if isinstance(event, StepMeasured) and event.step == step]
    return found


def need_usage(job: JobResult) -> None:
    if not any(isinstance(event, StepMeasured) for event in job.events):
        pytest.skip("the containers of this engine have no control group of their own")


@pytest.mark.engine
def test_each_container_has_the_limits_that_the_file_asks_for(ran: JobRunner) -> None:
    need_limit(ran.engine, "MemoryLimit")
    box = container(resources=Resources(memory_bytes=32 * MIB, pids=50, cpus=9_999))
    look = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true; "
    look += "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null || true"
    job = ran(shell(look, box=box), shell(look), options=Options(limits=Limits(pids=77)))
    assert job.said(1) == [str(32 * MIB), "50"]
    assert job.said(2)[-1] == "77"
    assert job.outcome.state is State.PASSED


@pytest.mark.engine
@pytest.mark.parametrize("kind", ["commands", "plugin"])
def test_what_a_step_used_is_known_and_no_line_of_its_log(ran: JobRunner, kind: str) -> None:
    script = f"head -c 30000000 /dev/zero | tail | wc -c; {SPIN}; printf 'no end' >&2"
    box = container(
        resources=Resources(memory_bytes=256 * MIB), entrypoint=None if kind == "commands" else ("sh", "-c", script)
    )
    job = ran(shell(script, box=box) if kind == "commands" else plugin(box))
    need_usage(job)
    found = used(job)
    assert 30_000_000 < found.memory_peak_bytes < 256 * MIB
    assert 0 < found.cpu_s < 60
    assert found.memory_limit_bytes == 256 * MIB
    log = job.log(1).decode()
    assert log.splitlines()[-2 if kind == "commands" else 0].startswith("30000000") or "30000000\n" in log
    assert "no end" in log
    assert "\x1e" not in log


@pytest.mark.engine
def test_a_step_that_is_killed_for_memory_says_how_much_it_used_of_what(ran: JobRunner) -> None:
    need_limit(ran.engine, "MemoryLimit")
    box = container(resources=Resources(memory_bytes=24 * MIB))
    job = ran(shell("x=a; while true; do x=$x$x; done", box=box))
    said = "killed for memory: it used 24 MiB, its limit; `resources: {memory: ...}` raises it"
    assert job.step() == Outcome(State.FAILED, Reason.OUT_OF_MEMORY, said, 137)


@pytest.mark.engine
def test_a_job_that_asks_for_more_than_the_worker_gives_begins_no_step(ran: JobRunner) -> None:
    job = ran(shell("x", box=container(resources=Resources(pids=101))), options=Options(limits=SERVER))
    assert job.outcome.reason is Reason.INVALID_PIPELINE
    assert job.states == [State.SKIPPED]


GROUPS = {
    "own": ({"cgroup.procs": "1\n", "memory.peak": "5242880\n", "cpu.stat": "usage_usec 100\nuser_usec 7\n"}, 5 * MIB),
    "of the machine": ({"cgroup.procs": "1\n0\n", "memory.peak": "1\n", "cpu.stat": "usage_usec 9\n"}, None),
    "before Linux 5.19": ({"cgroup.procs": "1\n", "cpu.stat": "nr_periods 3\nusage_usec 100\n"}, None),
    "not numbers": ({"cgroup.procs": "1\n", "memory.peak": "max\n", "cpu.stat": "\n\n"}, None),
}


@pytest.mark.engine
@pytest.mark.parametrize("name", GROUPS)
def test_version_2_of_control_groups_is_read_too(ran: JobRunner, tmp_path: Path, name: str) -> None:
    """With files in place of the kernel's: this machine has one version."""
    need_limit(ran.engine, "MemoryLimit")
    files, peak = GROUPS[name]
    group = tmp_path / "cgroup"
    group.mkdir()
    for file, text in files.items():
        (group / file).write_text(text)
    job = ran(shell("true", box=container(volumes=(f"{group}:/sys/fs/cgroup:ro",))))
    assert job.outcome.state is State.PASSED
    found = [event for event in job.events if isinstance(event, StepMeasured)]
    assert [event.memory_peak_bytes for event in found] == ([] if peak is None else [peak])
