"""How a step ends before its time: timeout and cancel."""

import threading
from collections.abc import Callable, Iterator

import pytest

from pipelines.state import Outcome, Reason, State
from runner.cancellation import Cancel
from runner.events import Event, Stream
from runner.execution.job.options import Options
from tests.support.engine import JobRunner, to_all, when_said
from tests.support.plans import container, plugin, shell

pytestmark = [pytest.mark.engine, pytest.mark.both_stores]

STUBBORN = "trap '' TERM; echo up; while true; do sleep 0.1; done"


@pytest.fixture
def cancel() -> Iterator[Cancel]:
    made = Cancel()
    yield made
    made.close()


def test_a_step_that_takes_too_long_is_ended(ran: JobRunner) -> None:
    job = ran(shell("echo begun", "sleep 1000", timeout_s=1), shell("true"))
    assert job.step() == Outcome(
        State.FAILED, Reason.TIMEOUT, "timed out after 1 s; raise `timeout:` if it needs longer"
    )
    assert job.said() == ["begun"]
    assert job.step(2).state is State.SKIPPED


def test_a_script_hears_that_its_time_is_over_and_its_last_words_are_kept(ran: JobRunner) -> None:
    job = ran(
        shell("trap 'echo cleaning; sleep 0.2; echo cleaned; exit 3' TERM", "sleep 1000 & wait", timeout_s=1),
        options=Options(grace_s=30),
    )
    assert job.step().reason is Reason.TIMEOUT
    assert job.said() == ["cleaning", "cleaned"]


def test_a_script_that_does_not_listen_is_killed(ran: JobRunner) -> None:
    job = ran(shell(STUBBORN, timeout_s=1), options=Options(grace_s=0.3))
    assert job.step().reason is Reason.TIMEOUT
    assert job.said() == ["up"]


def test_a_plugin_that_does_not_listen_is_killed(ran: JobRunner) -> None:
    box = container("busybox", entrypoint=("sh", "-c", STUBBORN))
    job = ran(plugin(box, timeout_s=1), options=Options(grace_s=0.3))
    assert job.step().reason is Reason.TIMEOUT
    assert job.said() == ["up"]


def test_the_time_of_a_job_ends_its_step_and_is_told_as_the_jobs(ran: JobRunner) -> None:
    job = ran(shell("sleep 1000", timeout_s=500), timeout_s=1)
    assert job.step().reason is Reason.TIMEOUT
    assert "the job" in job.step().message
    assert "500" not in job.step().message


def test_the_servers_limit_beats_the_steps_wish(ran: JobRunner) -> None:
    job = ran(shell("sleep 1000", timeout_s=500), options=Options(step_timeout_s=1))
    assert job.step().reason is Reason.TIMEOUT
    assert "after 1 s" in job.step().message


def test_cancel_in_mid_step_ends_it_and_skips_the_rest(ran: JobRunner, cancel: Cancel) -> None:
    job = ran(
        shell("trap 'echo stopping; exit 1' TERM", "echo up", "sleep 1000 & wait"), shell("true", on_failure=True),
        cancel=cancel, on_event=when_said(b"up", lambda: cancel.set("ada")),
    )  # fmt: skip
    assert job.step() == Outcome(State.CANCELED, Reason.CANCELED, "canceled by ada")
    assert job.said() == ["up", "stopping"]
    assert job.step(2).state is State.SKIPPED
    assert job.step(2).reason is Reason.CANCELED
    assert job.outcome == Outcome(State.CANCELED, Reason.CANCELED, "canceled by ada")


def test_cancel_ends_all_parallel_steps(ran: JobRunner, cancel: Cancel) -> None:
    ready = threading.Barrier(2, action=lambda: cancel.set("ada"))

    def wait_for_both() -> None:
        ready.wait(30)

    def both(step: int) -> Callable[[Event], None]:
        return when_said(b"up", wait_for_both, step)

    listeners = [both(1), both(2)]
    job = ran(
        shell("echo up", "sleep 1000", needs=()), shell("echo up", "sleep 1000", needs=()), cancel=cancel,
        on_event=to_all(listeners),
    )  # fmt: skip
    assert job.states == [State.CANCELED, State.CANCELED]


def test_cancel_kills_who_does_not_listen(ran: JobRunner, cancel: Cancel) -> None:
    job = ran(
        shell(STUBBORN), cancel=cancel, options=Options(grace_s=0.3),
        on_event=when_said(b"up", lambda: cancel.set("ada")),
    )  # fmt: skip
    assert job.outcome.state is State.CANCELED


def test_a_lost_job_is_ended_at_once(ran: JobRunner, cancel: Cancel) -> None:
    job = ran(
        shell("trap 'echo never' TERM", "echo up", "sleep 1000 & wait"), cancel=cancel, options=Options(grace_s=600),
        on_event=when_said(b"up", lambda: cancel.set("the lease", lost=True)),
    )  # fmt: skip
    assert job.outcome.state is State.CANCELED
    assert job.said() == ["up"]


def test_a_job_that_was_canceled_before_it_began_runs_nothing(ran: JobRunner, cancel: Cancel) -> None:
    cancel.set("ada")
    job = ran(shell("echo never"), cancel=cancel)
    assert job.states == [State.SKIPPED]
    assert job.outcome.state is State.CANCELED


def test_cancel_ends_detached_steps(ran: JobRunner, cancel: Cancel) -> None:
    job = ran(
        shell("sleep 1000", detach=True), shell("echo up", "sleep 1000"), cancel=cancel,
        on_event=when_said(b"up", lambda: cancel.set("ada"), step=2),
    )  # fmt: skip
    assert job.outcome.state is State.CANCELED


def test_output_until_the_end_of_the_grace_is_kept_byte_by_byte(ran: JobRunner) -> None:
    job = ran(
        shell("trap 'cat data >&2; cat data; exit' TERM", "sleep 1000 & wait", timeout_s=1),
        files={"data": b"0123456789abcde\n" * 20_000}, options=Options(grace_s=60),
    )  # fmt: skip
    assert job.log(1, Stream.STDERR) == b"0123456789abcde\n" * 20_000
    assert job.said() == ["0123456789abcde"] * 20_000


def test_after_a_cancel_only_what_cleans_up_runs_and_the_job_is_canceled(ran: JobRunner, cancel: Cancel) -> None:
    job = ran(
        shell("echo up", "sleep 1000"),
        shell("echo never"),
        shell("echo cleaned up after $CI_PIPELINE_STATUS", on_canceled=True),
        cancel=cancel,
        on_event=when_said(b"up", lambda: cancel.set("ada")),
    )
    assert job.states == [State.CANCELED, State.SKIPPED, State.PASSED]
    assert job.said(3) == ["cleaned up after canceled"]
    assert job.outcome == Outcome(State.CANCELED, Reason.CANCELED, "canceled by ada")


def test_nothing_cleans_up_for_a_job_that_another_worker_has(ran: JobRunner, cancel: Cancel) -> None:
    job = ran(
        shell("echo up", "sleep 1000"),
        shell("echo never", on_canceled=True),
        cancel=cancel,
        on_event=when_said(b"up", lambda: cancel.set("the loss of its lease", lost=True)),
    )
    assert job.states == [State.CANCELED, State.SKIPPED]
