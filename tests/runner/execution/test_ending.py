"""A step, plugin or service that must end has time to clean up: each of its processes, and no longer than needed."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.plan import CommandsStep, PluginStep
from pipelines.state import Reason, State
from runner.cancellation import Cancel
from runner.events import Event
from runner.execution.job.options import Options
from tests.support.engine import JobRunner, to_all, when_said
from tests.support.plans import container, plugin, service, shell

pytestmark = [pytest.mark.engine, pytest.mark.both_stores]

GRACE = Options(grace_s=40)
SOON_S = 20
CLEANS = "trap 'sleep 1; echo cleaned >&2; exit' TERM; echo up; while true; do sleep 0.1; done"
STUBBORN = "trap '' TERM; echo up; while true; do sleep 0.1; done"
FILES = {"clean": CLEANS, "stubborn": STUBBORN}
WAYS = {
    "plain": "sh clean",
    "then-more": "sh clean; echo never",
    "pipeline": "sh clean | cat",
    "second-of-a-pipeline": "sleep 1000 | sh clean",
    "child-of-a-child": "sh -c 'sh -c \"sh clean; true\"; true'; true",
    "session": "setsid sh clean & wait",
    "child-in-a-session": "setsid sh -c 'sh clean & sleep 1000' & wait",
    "background": "sh clean & sleep 1000",
    "background-of-a-child": "sh -c 'sh clean & sleep 1000'; true",
    "orphan": "(sh clean &); sleep 1000",
    "shell-replaced": "exec sh clean",
    "shell-with-a-trap": "trap 'echo trapped' TERM; sh clean; exit 4",
}


@pytest.fixture
def cancel() -> Iterator[Cancel]:
    made = Cancel()
    yield made
    made.close()


def canceled_when_up(cancel: Cancel, step: int = 1) -> Callable[[Event], None]:
    return when_said(b"up", lambda: cancel.set("ada"), step)


def as_step(kind: str, command: str) -> CommandsStep | PluginStep:
    if kind == "plugin":
        return plugin(container(entrypoint=("sh", "-c", f"echo; {command}")), timeout_s=60)
    return shell("echo", command, timeout_s=60)


@pytest.mark.parametrize("kind", ["commands", "plugin"])
@pytest.mark.parametrize("way", WAYS)
def test_each_process_may_clean_up_and_the_last_one_ends_the_step(
    ran: JobRunner, cancel: Cancel, way: str, kind: str
) -> None:
    step, began_s = as_step(kind, WAYS[way]), time.monotonic()
    job = ran(step, files=FILES, cancel=cancel, options=GRACE, on_event=canceled_when_up(cancel))
    assert job.step().state is State.CANCELED
    assert b"cleaned\n" in job.log()
    assert time.monotonic() - began_s < SOON_S


@pytest.mark.parametrize("kind", ["commands", "plugin"])
def test_at_a_timeout_too(ran: JobRunner, kind: str) -> None:
    step = as_step(kind, "sh clean; true").model_copy(update={"timeout_s": 1})
    job = ran(step, files=FILES, options=GRACE)
    assert job.step().reason is Reason.TIMEOUT
    assert b"cleaned\n" in job.log()


@pytest.mark.parametrize("kind", ["commands", "plugin"])
@pytest.mark.parametrize("command", ["sh stubborn", "setsid sh stubborn & wait", "(sh stubborn &); sleep 1000"])
def test_what_does_not_end_is_killed_after_the_grace(ran: JobRunner, cancel: Cancel, kind: str, command: str) -> None:
    step, began_s = as_step(kind, command), time.monotonic()
    options = Options(grace_s=1)
    job = ran(step, files=FILES, cancel=cancel, options=options, on_event=canceled_when_up(cancel))
    assert job.step().state is State.CANCELED
    assert time.monotonic() - began_s < SOON_S


def test_one_that_cleans_up_does_not_hold_up_the_end_of_another(ran: JobRunner, cancel: Cancel) -> None:
    ended: dict[int, float] = {}

    def note_end(event: Event) -> None:
        if (step := getattr(event, "step", 0)) and hasattr(event, "outcome"):
            ended[step] = time.monotonic()

    slow = "trap 'sleep 4; exit' TERM; echo up; while true; do sleep 0.1; done"
    listeners = [note_end, canceled_when_up(cancel)]
    ran(shell(slow, needs=()), shell("sleep 1000", needs=()), cancel=cancel, options=GRACE, on_event=to_all(listeners))
    assert ended[1] - ended[2] > 2


def test_a_detached_step_cleans_up_at_the_end_of_the_job(ran: JobRunner) -> None:
    waits = shell("while ! [ -e stop ]; do sleep 0.1; done")

    def stop() -> None:
        (ran.jobs[0].folder / "workspace/src/stop").touch()

    listener = when_said(b"up", stop)
    job = ran(shell("echo", "sh clean; true", detach=True), waits, files=FILES, options=GRACE, on_event=listener)
    assert b"cleaned\n" in job.log(1)
    assert job.step(1).state is State.PASSED


def test_a_detached_step_cleans_up_at_a_cancel(ran: JobRunner, cancel: Cancel) -> None:
    box = container(entrypoint=("sh", "-c", "echo; sh clean; true"))
    steps = plugin(box, detach=True), shell("sleep 1000")
    job = ran(*steps, files=FILES, cancel=cancel, options=GRACE, on_event=canceled_when_up(cancel))
    assert b"cleaned\n" in job.log(1)


@pytest.mark.parametrize("ends", ["by itself", "by a cancel"])
@pytest.mark.parametrize("own", [True, False], ids=["entrypoint", "commands"])
def test_a_service_cleans_up(ran: JobRunner, cancel: Cancel, tmp_path: Path, ends: str, own: bool) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    script = "sh -c 'trap \"sleep 1; echo cleaned >/out/file; exit\" TERM; while true; do sleep 0.1; done'; true"
    box = container(directory="", volumes=(f"{out}:/out",), entrypoint=("sh", "-c", script) if own else None)
    job = ran(
        shell("echo up", "sleep 0.5" if ends == "by itself" else "sleep 1000"),
        services=[service("db", *([] if own else [script]), box=box)], options=GRACE, cancel=cancel,
        on_event=canceled_when_up(cancel) if ends == "by a cancel" else None,
    )  # fmt: skip
    assert job.outcome.state is (State.PASSED if ends == "by itself" else State.CANCELED)
    assert (out / "file").read_text() == "cleaned\n"


def test_a_service_that_does_not_end_is_removed_after_the_grace(ran: JobRunner) -> None:
    began_s = time.monotonic()
    ran(shell("true"), services=[service("db", STUBBORN)], options=Options(grace_s=1))
    assert time.monotonic() - began_s < SOON_S
