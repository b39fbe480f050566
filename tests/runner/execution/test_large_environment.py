"""Variables and commands at the limit of what a program may get, and one byte past it, in real containers."""

import pytest

from pipelines.environment.environment_size import WORD_BYTES_MAX, WORDS_BYTES_MAX
from pipelines.plan import SecretRef
from pipelines.state import Reason, State
from pipelines.step_options.ready import CommandCheck
from tests.support.engine import JobRunner
from tests.support.plans import build, container, plugin, service, shell

pytestmark = pytest.mark.engine

ROOM = WORD_BYTES_MAX - len("LONG=") - 1
LONG = (SecretRef(secret="long"),)


@pytest.mark.slow
def test_a_variable_at_the_limit_arrives_and_one_past_it_is_named(ran: JobRunner) -> None:
    box = container(environment={"LONG": LONG})
    look = ('printf %s "$LONG" | wc -c', "env | grep -c ^LONG=")
    job = ran(shell(*look, box=box), secrets={"long": "x" * ROOM})
    assert job.said() == [str(ROOM), "1"], job.everything()
    for step in (
        shell("true", box=box),
        plugin(box),
        shell("true", box=box.model_copy(update={"entrypoint": ("sh",)})),
    ):
        job = ran(step, secrets={"long": "x" * (ROOM + 1)})
        assert job.step().reason is Reason.INVALID_PIPELINE
        assert "the variable LONG has 131,073 bytes with its name" in job.step().message


@pytest.mark.slow
def test_all_variables_together_are_taken_up_to_the_limit(ran: JobRunner) -> None:
    values = {f"V{number:02}": "x" * 100_000 for number in range(19)}
    rest = WORDS_BYTES_MAX - 19 * (100_000 + 5 + 8) - 20_000
    job = ran(shell("env | grep -c ^V", box=container(environment={**values, "V": "x" * rest})))
    assert job.said() == ["20"], job.everything()
    job = ran(shell("true", box=container(environment={**values, "V": "x" * (rest + 20_000)})))
    assert job.step().reason is Reason.INVALID_PIPELINE
    assert "bytes together" in job.step().message


@pytest.mark.slow
def test_a_service_and_its_check_have_the_same_limits(ran: JobRunner) -> None:
    box = container(environment={"LONG": LONG}, directory="")
    ready = CommandCheck(command="test ${#LONG} = " + str(ROOM))
    serving = service("db", "sleep 1000", box=box, ready=ready)
    assert ran(shell("true"), services=[serving], secrets={"long": "x" * ROOM}).outcome.state is State.PASSED
    job = ran(shell("true"), services=[serving], secrets={"long": "x" * (ROOM + 1)})
    assert "the variable LONG has 131,073 bytes" in job.outcome.message
    long = "sleep 1000 #" + "x" * WORD_BYTES_MAX
    job = ran(shell("true"), services=[service("db", long)])
    assert "the commands have more than 131,072 bytes" in job.outcome.message


def test_build_arguments_and_labels_have_limits_and_names(ran: JobRunner) -> None:
    most = WORD_BYTES_MAX - 32 - len("LONG=")
    files = {"Dockerfile": "FROM busybox\nARG LONG\nRUN test ${#LONG} = " + str(most)}
    ran.need_current_buildkit()
    assert ran(build(args={"LONG": "x" * most}), files=files).outcome.state is State.PASSED
    long = {"LONG": "x" * (most + 1)}
    for step in (build(args=long), build(labels=long)):
        job = ran(step, files=files)
        assert job.step().reason is Reason.INVALID_PIPELINE
        assert "'LONG' under" in job.step().message


def test_the_variables_of_the_image_count_too(ran: JobRunner) -> None:
    values = {f"V{number:02}": "x" * 100_000 for number in range(19)}
    box = container(1, environment={**values, "V": "x" * 60_000})
    job = ran(build(), shell("true", box=box), files={"Dockerfile": f"FROM busybox\nENV I={'x' * 6_000}\n"})
    assert job.step(2).reason is Reason.INVALID_PIPELINE, job.step(2)
    assert "bytes together" in job.step(2).message


def test_what_was_shortened_is_said_in_the_log_of_the_step(ran: JobRunner) -> None:
    job = ran(shell("true"), notes=("CI_COMMIT_MESSAGE has only the first 131,008 of its 131,009 bytes",))
    assert b"CI_COMMIT_MESSAGE has only the first" in job.log()
