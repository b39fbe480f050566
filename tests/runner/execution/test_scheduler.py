"""In which order steps run, and which of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import PASSED, Reason, State
from runner.docker.containers.specs import ATTEMPT_LABEL, JOB_LABEL, ContainerSpec
from runner.events import StepFinished, StepStarted
from runner.execution.job.options import Options
from tests.support.engine import JobRunner
from tests.support.job_result import JobResult
from tests.support.plans import BUSYBOX, build, container, plugin, shell

pytestmark = pytest.mark.engine


def order(ran: JobResult) -> list[str]:
    """What started and ended, in turn."""
    words = {StepStarted: "start", StepFinished: "end"}
    return [
        f"{words[type(event)]} {event.step}" for event in ran.events if isinstance(event, StepStarted | StepFinished)
    ]


def test_steps_run_one_after_another_and_share_the_checkout(ran: JobRunner) -> None:
    job = ran(
        shell("cat source", "echo from-one > made"), shell("cat made", "pwd"), files={"source": "laid out\n"}
    )  # fmt: skip
    assert job.outcome.state is State.PASSED
    assert order(job) == ["start 1", "end 1", "start 2", "end 2"]
    assert job.said(1) == ["laid out"]
    assert job.said(2) == ["from-one", "/headway/src"]


def test_every_step_gets_a_fresh_container(ran: JobRunner) -> None:
    look = (
        "ls /tmp/mine 2>/dev/null || echo clean",
        "touch /tmp/mine",
        r"sed -n 's:.*/containers/\([0-9a-f]\{64\}\)/hostname .*:\1:p' /proc/self/mountinfo",
        "echo $$",
    )
    job = ran(shell(*look), shell(*look))
    assert job.outcome.state is State.PASSED
    first, second = job.said(1), job.said(2)
    assert first[0] == second[0] == "clean"
    assert len(first[1]) == 64
    assert first[1] != second[1]


def test_steps_that_need_the_same_step_run_at_the_same_time(ran: JobRunner) -> None:
    # Each waits for the other: one after the other they would never end.
    meet = "touch {mine}; while [ ! -e {other} ]; do sleep 0.02; done"
    job = ran(
        shell("true"),
        shell(meet.format(mine="a", other="b"), needs=(1,)),
        shell(meet.format(mine="b", other="a"), needs=(1,)),
        shell("ls", needs=(2, 3)),
        timeout_s=60,
    )
    assert job.outcome.state is State.PASSED
    assert job.said(4) == ["a", "b"]
    assert order(job)[:2] == ["start 1", "end 1"]
    assert order(job)[-2:] == ["start 4", "end 4"]


def test_parallel_steps_may_listen_on_the_same_port(ran: JobRunner) -> None:
    listen = (
        "echo $ME | nc -l -p 8080 &",
        "until grep -q ':1F90 .* 0A ' /proc/net/tcp*; do sleep 0.02; done",
        "touch $ME.up",
    )
    meet = "while [ ! -e $OTHER.up ]; do sleep 0.02; done"
    talk = "nc 127.0.0.1 8080 < /dev/null"
    boxes = [container(environment={"ME": me, "OTHER": other}) for me, other in (("a", "b"), ("b", "a"))]
    job = ran(*(shell(*listen, meet, talk, box=box, needs=()) for box in boxes), timeout_s=60)
    assert job.outcome.state is State.PASSED
    assert (job.said(1), job.said(2)) == (["a"], ["b"])


def test_no_more_steps_run_at_once_than_the_option_allows(ran: JobRunner) -> None:
    me, all_now = "running.$HOSTNAME.$$", "ls running.* | wc -l"
    # The first two wait for each other, so that they do meet however slow the machine is.
    meet = f"until [ -e met ] || [ $({all_now}) -ge 2 ]; do sleep 0.05; done; touch met"
    count = (f"touch {me}", meet, all_now, "sleep 0.2", f"rm {me}")
    job = ran(*(shell(*count, needs=()) for _ in range(5)), options=Options(parallel_steps_max=2))
    assert job.outcome.state is State.PASSED
    assert max(int(job.said(number)[0]) for number in range(1, 6)) == 2


def test_what_follows_a_failed_step_is_skipped(ran: JobRunner) -> None:
    job = ran(shell("exit 3", name="unit"), shell("echo never"))
    assert job.states == [State.FAILED, State.SKIPPED]
    assert job.step(2).reason is Reason.DEPENDENCY_FAILED
    assert job.outcome.state is State.FAILED
    assert job.outcome.exit_code == 3
    assert job.outcome.message == "step 'unit': exited with 3"
    assert "start 2" not in order(job)


def test_a_step_for_failures_runs_after_one_and_sees_it(ran: JobRunner) -> None:
    tell = "echo $CI_PIPELINE_STATUS"
    job = ran(shell(tell), shell("false"), shell(tell, on_failure=True), shell(tell, on_failure=True, on_success=False))
    assert job.states == [State.PASSED, State.FAILED, State.PASSED, State.PASSED]
    assert [job.said(number) for number in (1, 3, 4)] == [["success"], ["failure"], ["failure"]]
    assert job.outcome.state is State.FAILED


def test_a_step_only_for_failures_is_skipped_after_success(ran: JobRunner) -> None:
    job = ran(shell("true"), shell("echo never", on_success=False, on_failure=True))
    assert job.states == [State.PASSED, State.SKIPPED]
    assert job.step(2).reason is Reason.CONDITION
    assert job.outcome.state is State.PASSED


def test_a_failure_that_is_ignored_is_told_and_changes_nothing(ran: JobRunner) -> None:
    job = ran(shell("exit 9", failure="ignore"), shell("echo $CI_PIPELINE_STATUS"))
    assert job.states == [State.FAILED, State.PASSED]
    assert job.step(1).exit_code == 9
    assert job.said(2) == ["success"]
    assert job.outcome.state is State.PASSED


def test_a_job_without_steps_passes(ran: JobRunner) -> None:
    assert ran().outcome.state is State.PASSED


def test_a_step_in_an_image_that_was_not_built_says_so(ran: JobRunner) -> None:
    job = ran(build(on_success=False, on_failure=True), shell("true", box=container(1)))
    assert job.states == [State.SKIPPED, State.FAILED]
    assert "its build step did not run" in job.step(2).message


def test_a_detached_step_goes_on_beside_the_others_and_ends_with_the_job(ran: JobRunner) -> None:
    job = ran(
        shell("echo served > page; trap 'echo bye; exit 4' TERM; while true; do nc -l -p 80 < page; done",
              name="server", detach=True),
        shell("until nc server 80 2>/dev/null < /dev/null; do sleep 0.05; done"),
        timeout_s=60,
    )  # fmt: skip
    assert job.outcome.state is State.PASSED
    assert job.said(2) == ["served"]
    assert job.step(1).state is State.PASSED
    assert order(job)[-1] == "end 1"


def test_a_step_starts_when_the_detached_step_before_it_has_begun(ran: JobRunner) -> None:
    job = ran(shell("sleep 1000", name="server", detach=True), shell("nslookup -type=a server"), timeout_s=60)
    assert job.states == [State.PASSED, State.PASSED], job.log(2)


def test_a_step_starts_when_the_detached_step_before_it_could_not_begin(ran: JobRunner) -> None:
    job = ran(shell("true", box=container(1), detach=True), shell("echo next"))
    assert (job.step(1).state, job.said(2)) == (State.FAILED, ["next"])


def test_a_detached_step_that_ignores_its_end_is_killed(ran: JobRunner) -> None:
    job = ran(
        shell("trap '' TERM; touch up; sleep 1000 & wait", detach=True),
        shell("while [ ! -e up ]; do sleep 0.02; done"),
        options=Options(grace_s=0.2), timeout_s=60,
    )  # fmt: skip
    assert job.states == [State.PASSED, State.PASSED]


def test_a_detached_step_that_fails_early_does_not_fail_the_job(ran: JobRunner) -> None:
    job = ran(shell("touch up; exit 3", detach=True), shell("while [ ! -e up ]; do sleep 0.02; done", "sleep 0.5"))
    assert job.outcome.state is State.PASSED
    assert job.step(1).exit_code == 3


def test_a_job_that_ends_before_its_detached_step_came_up_does_not_wait_for_it(ran: JobRunner) -> None:
    job = ran(shell("trap '' TERM; sleep 1000 & wait", detach=True), options=Options(grace_s=0))
    assert job.outcome.state is State.PASSED


def test_a_plugin_gets_its_settings_and_its_own_entrypoint(ran: JobRunner, given_image: Callable[..., str]) -> None:
    name = given_image(
        'FROM busybox\nWORKDIR /own\nCOPY run /run-plugin\nENTRYPOINT ["sh", "/run-plugin"]\nCMD ["by-default"]\n',
        files={"run": "echo $PLUGIN_TARGET $1; pwd; ls; echo $CI_PIPELINE_STATUS; cat; exit $PLUGIN_CODE\n"},
    )
    settings = {"PLUGIN_TARGET": "production", "PLUGIN_CODE": "5"}
    job = ran(plugin(container(name, settings)), files={"a file": ""})
    assert job.said() == ["production by-default", "/headway/src", "a file", "success"]
    assert job.step().exit_code == 5


def test_a_plugin_that_ends_at_once_passes(ran: JobRunner, given_image: Callable[..., str]) -> None:
    name = given_image('FROM busybox\nENTRYPOINT ["true"]\n')
    job = ran(*(plugin(container(name)) for _ in range(4)))
    assert job.states == [State.PASSED] * 4


def test_a_custom_entrypoint_gets_the_commands_in_a_variable(ran: JobRunner) -> None:
    box = container(entrypoint=("sh", "-c", "echo own; echo $CI_SCRIPT | base64 -d | sh -e"))
    job = ran(shell("pwd", "echo one", "false", "echo never", box=box))
    assert job.said() == ["own", "/headway/src", "one"]
    assert job.step().exit_code == 1


def test_a_step_in_the_built_image_starts_where_the_image_says(ran: JobRunner) -> None:
    files = {"Dockerfile": "FROM busybox\nWORKDIR /app\nCOPY here /app/\nENV GREETING=hello\n", "here": "copied\n"}
    job = ran(build(), shell("pwd", "cat here", "echo $GREETING", box=container(1)), files=files)
    assert job.said(2) == ["/app", "copied", "hello"]


def test_a_step_with_a_directory_starts_there_even_if_it_is_new(ran: JobRunner) -> None:
    job = ran(shell("pwd", box=container(directory="/headway/src/it's new")))
    assert job.said() == ["/headway/src/it's new"]


def test_a_job_without_checkout_has_an_empty_folder(ran: JobRunner) -> None:
    job = ran(shell("pwd", "ls -A", "touch mine"), checkout=None, files={"source": "not asked for"})
    assert job.said() == ["/headway/src"]
    assert job.outcome.state is State.PASSED


@pytest.mark.parametrize("checkout", [Checkout(), None])
def test_any_user_can_write_to_the_checkout(ran: JobRunner, checkout: Checkout | None) -> None:
    job = ran(shell("touch new ../beside", "ls", box=container(user="1234:1234")), checkout=checkout)
    assert job.said() == ["new"]


def test_a_workspace_may_lie_deeper(ran: JobRunner) -> None:
    workspace = "/go/src/example.com/app"
    box = container(directory=workspace, user="1000")
    job = ran(shell("cat source", "touch /go/src/other", box=box),
              files={"source": "deep\n"}, workspace_base="/go", workspace=workspace)  # fmt: skip
    assert job.said() == ["deep"]
    assert job.outcome.state is State.PASSED


def test_an_earlier_attempts_leftovers_are_swept_away(ran: JobRunner) -> None:
    old = ran.new()
    labels = {JOB_LABEL: old.key, ATTEMPT_LABEL: "1"}
    network = ran.engine.create_network(f"headway-{old.key}-1", labels)
    left = ran.engine.create(ContainerSpec(BUSYBOX, labels, network, command=("sleep", "1000")))
    ran.engine.start(left)
    old.folder.mkdir(parents=True)
    (old.folder / "secret").touch()
    job = ran(shell("ls"), key=old.key, attempt=2)
    assert job.said() == []
    assert ran.engine.inspect(left) is None
    assert ran.left() == []


def test_a_later_attempt_is_not_swept_away_by_an_earlier_one(ran: JobRunner) -> None:
    later = ran.new()
    labels = {JOB_LABEL: later.key, ATTEMPT_LABEL: "3"}
    network = ran.engine.create_network(f"headway-{later.key}-3", labels)
    ran(shell("true"), key=later.key, attempt=2)
    assert ran.left() == [f"network headway-{later.key}-3"] * 2
    ran.engine.remove_network(network)


def test_a_step_that_was_carried_over_does_not_run_and_those_that_need_it_do(ran: JobRunner) -> None:
    job = ran(shell("touch ran"), shell("ls", needs=(1,)), carried={1: PASSED})
    assert job.outcome.state is State.PASSED
    assert order(job) == ["start 2", "end 2"]
    assert job.said(2) == []


def test_a_job_that_goes_on_with_files_checks_nothing_out(ran: JobRunner) -> None:
    def take(workspace: Path) -> None:
        (workspace / "src").mkdir()
        (workspace / "src" / "made").write_text("before\n")

    job = ran(shell("touch other", "cat made", "ls"), files={"source": ""}, take_files=take)
    assert job.outcome.state is State.PASSED
    assert job.said() == ["before", "made", "other"]


def test_a_checkout_that_a_step_has_replaced_is_not_followed(ran: JobRunner, tmp_path: Path) -> None:
    def take(workspace: Path) -> None:
        (workspace / "src").symlink_to(tmp_path)

    job = ran(shell("ls"), take_files=take)
    assert (job.outcome.state, job.outcome.reason) == (State.BROKEN, Reason.CLONE_FAILED)
    assert "a step has replaced the checkout" in job.outcome.message
