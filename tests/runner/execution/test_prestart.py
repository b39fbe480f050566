"""Prestarted containers: which steps get one, and that a step cannot tell."""

import re
from pathlib import Path

import pytest

from pipelines.state import State
from runner.docker.containers.specs import JOB_LABEL, STEP_LABEL
from runner.execution.job.options import Options
from runner.execution.prestart import is_prestartable
from runner.execution.resources.free_memory import available_bytes
from tests.support.engine import JobRunner, eventually, need_host_users, when_said
from tests.support.plans import container, shell


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


@pytest.mark.engine
def test_only_what_an_earlier_step_could_replace_on_the_host_keeps_a_container_from_being_prestarted(
    ran: JobRunner, tmp_path: Path
) -> None:
    need_host_users(ran.engine, "it may make no device")
    at_their_turn = [
        container(volumes=(f"{tmp_path}:/host",)),
        container(devices=("/dev/null:/dev/zilch",)),
        container(network_mode="bridge"),
    ]
    ahead = [
        container(dns=("203.0.113.53",), dns_search=("example.com",), extra_hosts=("db:203.0.113.7",)),
        container(network_mode="none"),
        container(volumes=("/anonymous",)),
    ]
    job, seen = ran.new(), set[str]()

    def containers() -> set[str]:
        found = ran.engine.containers_labelled(f"{JOB_LABEL}={job.key}")
        return {each["Labels"][STEP_LABEL] for each in found if STEP_LABEL in each["Labels"]}

    def look() -> None:
        eventually(lambda: len(containers()) > len(ahead))
        seen.update(containers())
        (job.folder / "workspace" / "src" / "go").touch()

    wait = shell("echo up", "while [ ! -e go ]; do sleep 0.05; done")
    boxes = [*at_their_turn, *ahead]
    options = Options(grace_s=1, steps_ahead_max=len(boxes))
    done = ran(
        wait, *(shell("true", box=box) for box in boxes),
        key=job.key, options=options, on_event=when_said(b"up", look), timeout_s=60,
    )  # fmt: skip
    assert done.states == [State.PASSED] * (1 + len(boxes)), done.everything()
    assert seen == {"1", "5", "6", "7"}


def test_a_privileged_container_has_the_devices_of_its_turn() -> None:
    """What is under its /dev is what the host has when it is created."""
    assert is_prestartable(shell("true"))
    assert not is_prestartable(shell("true", box=container(privileged=True)))
    assert not is_prestartable(shell("true", detach=True))
    assert not is_prestartable(shell("true", box=container(entrypoint=("sh",))))
