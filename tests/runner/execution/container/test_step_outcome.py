"""What is said of a step that ended by itself: its number, and what the number may mean."""

from collections.abc import Callable

import pytest

from pipelines.plan import Container
from pipelines.state import Outcome, Reason, State
from runner.docker.containers.specs import JOB_LABEL, Limits
from runner.execution.job.options import Options
from tests.support.engine import JobRunner, need_limit, when_said
from tests.support.plans import container, plugin, shell

pytestmark = pytest.mark.engine

EAT = "x=a; while true; do x=$x$x; done"
LIMIT = "it used 16 MiB, its limit; HEADWAY_STEP_MEMORY_BYTES_MAX is what a step of this server may have at most"
SMALL = Options(limits=Limits(memory_bytes=16 * 1024**2), grace_s=1)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("exit 137", "exited with 137 (128 + 9: perhaps SIGKILL ended one of its programs: "),
        ("sh -c 'kill -9 $$'", "exited with 137 (128 + 9: perhaps SIGKILL ended one of its programs: "),
        ("sh -c 'exit 143'", "exited with 143 (128 + 15: perhaps SIGTERM ended one of its programs: "),
        ("sh -c 'kill -SEGV $$; :'", "exited with 139 (128 + 11: perhaps SIGSEGV ended one of its programs: a crash"),
        ("kill -TERM $$; sleep 9", "exited with 143 (its shell was ended by SIGTERM: "),
        ("exit 200", "exited with 200"),
        ("exit 128", "exited with 128"),
    ],
)
def test_a_number_that_may_stand_for_a_signal_is_explained(ran: JobRunner, command: str, message: str) -> None:
    outcome = ran(shell(command)).step()
    assert outcome.reason is Reason.EXIT_CODE
    assert outcome.message.startswith(message)
    assert "from outside" not in outcome.message
    assert f"exited with {outcome.exit_code}" in outcome.message


@pytest.mark.parametrize(
    ("command", "code"), [("exit 137", 137), ("sh -c 'kill -9 $$'; exit $?", 137), ("kill -9 $$; sleep 9", 137)]
)
def test_a_plugins_number_is_explained_too(ran: JobRunner, command: str, code: int) -> None:
    outcome = ran(plugin(container(entrypoint=("sh", "-c", command)))).step()
    assert (outcome.reason, outcome.exit_code) == (Reason.EXIT_CODE, code)
    assert outcome.message.startswith("exited with 137 (128 + 9: perhaps SIGKILL")


def test_a_container_that_was_killed_from_outside_is_told_apart(ran: JobRunner) -> None:
    def kill() -> None:
        for found in ran.engine.containers_labelled(f"{JOB_LABEL}={ran.jobs[-1].key}"):
            if found["Names"] and found["State"] == "running":
                ran.engine.kill(found["Id"], "SIGKILL")

    job = ran(shell("echo up", "sleep 1000"), on_event=when_said(b"up", kill))
    assert job.step().reason is Reason.KILLED
    assert "killed by a signal from outside" in job.step().message


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        (
            EAT,
            Outcome(State.FAILED, Reason.OUT_OF_MEMORY, f"killed for memory: {LIMIT}", 137),
        ),
        (
            f"sh -c '{EAT}' || exit 3",
            Outcome(
                State.FAILED,
                Reason.OUT_OF_MEMORY,
                f"exited with 3, and a process was killed for memory: {LIMIT}",
                3,
            ),
        ),
    ],
    ids=["shell", "child"],
)
@pytest.mark.parametrize("kind", ["commands", "plugin"])
def test_memory_that_ran_out_is_told_where_the_engine_says_so(
    ran: JobRunner, command: str, outcome: Outcome, kind: str
) -> None:
    need_limit(ran.engine, "MemoryLimit")
    step = shell(command) if kind == "commands" else plugin(container(entrypoint=("sh", "-c", command)))
    assert ran(step, options=SMALL).step() == outcome


def test_a_limit_that_was_not_reached_is_not_blamed(ran: JobRunner) -> None:
    job = ran(shell("sh -c 'kill -9 $$'"), options=SMALL)
    assert job.step().reason is Reason.EXIT_CODE
    assert "the engine does not report that memory ran out" in job.step().message


def test_a_plugin_with_nothing_to_run_says_what_to_do(ran: JobRunner, given_image: Callable[..., str]) -> None:
    image = given_image("FROM busybox\nENTRYPOINT []\nCMD []\n")
    outcome = ran(plugin(Container(image=container(image).image))).step()
    assert (outcome.state, outcome.reason) == (State.FAILED, Reason.BAD_COMMAND)
    assert "neither an entrypoint nor a command" in outcome.message
    assert "write `commands`, or `entrypoint`" in outcome.message


@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [
        ('ENTRYPOINT ["echo", "entry"]\nCMD ["command"]', "entry command"),
        ('ENTRYPOINT ["echo", "entry"]\nCMD []', "entry"),
        ('CMD ["echo", "command"]', "command"),
        ("CMD echo command of $0", "command of /bin/sh"),
    ],
)
def test_a_plugin_runs_its_entrypoint_with_its_command(
    ran: JobRunner, given_image: Callable[..., str], dockerfile: str, said: str
) -> None:
    image = given_image(f"FROM busybox\n{dockerfile}\n")
    assert ran(plugin(container(image))).said() == [said]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo it's", "; the command `echo it's` has a quote that is not closed"),
        ('echo "one', '; the command `echo "one` has a quote that is not closed'),
        ("exit 2", ""),
        ("echo 'it''s' \"'\" # it's\nexit 2", ""),
    ],
)
def test_a_quote_that_is_not_closed_is_found(ran: JobRunner, command: str, told: str) -> None:
    job = ran(shell("echo 'before'", command, "echo 'after'"))
    assert job.step().message == f"exited with 2{told}"
