"""What a step does with its processes ends with the step, and the verdict is right."""

import threading

import pytest

from pipelines.state import Outcome, Reason, State
from runner.docker.containers.specs import Limits
from runner.execution.job.options import Options
from tests.support.engine import JobRunner, need_limit, when_said
from tests.support.job_result import JobResult
from tests.support.plans import container, plugin, service, shell

pytestmark = pytest.mark.engine

SHORT = Options(grace_s=0.3)


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("sleep 100 & kill -9 -1; wait; exit 7", 7, Reason.EXIT_CODE),
        ("sh -c 'sleep 100 & kill -9 -1'; sleep 100", 137, Reason.KILLED),
        ("kill -9 1; exit 7", 7, Reason.EXIT_CODE),
        ("kill -TERM 1; sleep 100", 143, Reason.EXIT_CODE),
        ("kill -9 0", 137, Reason.KILLED),
        ("kill -9 $$", 137, Reason.KILLED),
        ("sh -c 'kill -TERM $PPID'; sleep 100", 143, Reason.EXIT_CODE),
        ("exit 137", 137, Reason.EXIT_CODE),
        ("exit 255", 255, Reason.EXIT_CODE),
        ("exit 256", 0, None),
        ("kill -SEGV $$; sleep 100", 139, Reason.EXIT_CODE),
    ],
)
def test_a_step_that_ends_itself_gets_the_verdict_of_its_status(
    ran: JobRunner, command: str, code: int, reason: Reason | None
) -> None:
    job = ran(shell(command, timeout_s=30), options=SHORT)
    assert job.step().state is (State.FAILED if code else State.PASSED)
    assert (job.step().exit_code or 0, job.step().reason) == (code, reason)


@pytest.mark.parametrize(
    "command",
    [
        "trap '' TERM INT HUP; while true; do sleep 0.1; done",
        "kill -STOP $PPID; kill -STOP $$",
        "kill -9 $PPID; sleep 1000",
        "trap '' TERM; (trap '' TERM; sleep 1000) & kill -TERM 1; sleep 1000",
        "(trap '' TERM; setsid sh -c 'while true; do sleep 1; done') & wait",
        "exec >&- 2>&-; sleep 1000",
        "cat /dev/zero >/dev/null",
    ],
)
def test_a_step_that_does_not_want_to_end_ends_with_its_time(ran: JobRunner, command: str) -> None:
    job = ran(shell("echo up", command, timeout_s=2), options=SHORT)
    assert job.step() == Outcome(
        State.FAILED, Reason.TIMEOUT, "timed out after 2 s; raise `timeout:` if it needs longer"
    )


@pytest.mark.parametrize("plain", [True, False], ids=["commands", "plugin"])
def test_processes_that_hide_behind_others_end_with_the_step(ran: JobRunner, plain: bool) -> None:
    hide = "(setsid sh -c '(trap \"\" TERM HUP; while true; do date >>beats; sleep 0.1; done) &' &) ; sleep 0.5"
    wait = "before=$(wc -c <beats); sleep 0.5; test $before = $(wc -c <beats); echo still"
    first = shell(hide) if plain else plugin(container(entrypoint=("sh", "-c", hide)))
    job = ran(first, shell(wait))
    assert job.said(2) == ["still"]


def test_a_fork_bomb_stays_in_its_limit_while_another_job_runs(ran: JobRunner) -> None:
    need_limit(ran.engine, "PidsLimit")
    beside: list[JobResult] = []
    work = threading.Thread(target=lambda: beside.append(ran(shell("for i in 1 2 3; do sleep 0.2; done", "echo fine"))))
    job = ran(
        shell("echo up", "f() { f | f & }; f; sleep 1000", timeout_s=5),
        options=Options(limits=Limits(pids=64), grace_s=0.3),
        on_event=when_said(b"up", work.start),
    )
    work.join(60)
    assert job.step().state is State.FAILED
    assert beside[0].said() == ["fine"]


def test_a_service_that_forks_without_end_ends_with_its_job(ran: JobRunner) -> None:
    need_limit(ran.engine, "PidsLimit")
    bomb = service("db", "f() { f | f & }; f; while true; do sleep 1; done")
    job = ran(shell("echo fine"), services=[bomb], options=Options(limits=Limits(pids=64), grace_s=0.3))
    assert job.said() == ["fine"]


def test_memory_that_background_processes_take_is_limited_together(ran: JobRunner) -> None:
    need_limit(ran.engine, "MemoryLimit")
    eat = "(x=a; while true; do x=$x$x; done) & (x=a; while true; do x=$x$x; done) & wait; echo end"
    job = ran(shell(eat), options=Options(limits=Limits(memory_bytes=32 * 1024**2), grace_s=0.3))
    assert job.said() in (["end"], [])
    assert job.outcome.state in {State.PASSED, State.FAILED}


def test_memory_in_files_counts_too(ran: JobRunner) -> None:
    need_limit(ran.engine, "MemoryLimit")
    job = ran(
        shell("dd if=/dev/zero of=/dev/shm/x bs=1M count=1000"),
        options=Options(limits=Limits(memory_bytes=32 * 1024**2)),
    )
    assert job.step().state is State.FAILED
