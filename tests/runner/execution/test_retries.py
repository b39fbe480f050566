"""After each attempt: whether the step runs again, what is stored before, and what ends the wait."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.step_options.retry_policy import Retry
from runner.events import EndedAttempt, Event, StepOutput, StepRetried
from runner.execution.job.job import JOURNAL, Job
from runner.execution.job.journal import History, read_journal
from runner.execution.job.options import DEFAULT_OPTIONS
from runner.execution.job.resumption import Resumption, StoredOutput
from runner.execution.prestart import ContainerPrestarter
from runner.execution.retries import Retries
from runner.execution.service.services import Services
from runner.execution.step_run import run_step
from runner.logs.output import Output
from tests.support.job_result import MakeJob
from tests.support.plans import push, shell

FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 9, not s3cr3t-value", 9)
TWICE = Retry(attempts=2)


def retries(job: Job) -> Retries:
    output = Output(1, job.emit, job.redactor, 10_000)
    return Retries(job, job.plan.steps[0], output)


def test_a_step_runs_again_until_it_passes_and_says_on_which_attempt(make_job: MakeJob, said: list[Event]) -> None:
    tried = retries(make_job(shell("x", retry=TWICE)))
    assert tried.resume() is None
    assert tried.outcome_after(FAILED, time.time()) is None
    assert tried.outcome_after(PASSED, time.time()) == replace(PASSED, message="passed on attempt 2 of 3")
    (note,) = [event.data for event in said if isinstance(event, StepOutput)]
    assert note == b"headway: this was attempt 1 of 3; the next one begins\n"


def test_after_the_last_attempt_the_outcome_has_its_number(make_job: MakeJob) -> None:
    tried = retries(make_job(shell("x", retry=TWICE)))
    assert [tried.outcome_after(FAILED, time.time()) for _ in range(2)] == [None, None]
    last = tried.outcome_after(FAILED, time.time())
    assert last == replace(FAILED, message=f"{FAILED.message} (attempt 3 of 3)")


def test_without_retry_the_outcome_is_as_it_was(make_job: MakeJob, said: list[Event]) -> None:
    assert retries(make_job(shell("x"))).outcome_after(FAILED, time.time()) is FAILED
    assert said == []


def test_each_attempt_is_told_with_its_part_of_the_log_and_written_down_without_secrets(
    make_job: MakeJob, said: list[Event], tmp_path: Path
) -> None:
    job = make_job(shell("x", retry=TWICE))
    tried = retries(job)
    for _ in range(2):
        tried.outcome_after(FAILED, time.time() - 5)
    first, both = [event.attempts for event in said if isinstance(event, StepRetried)]
    assert both[:1] == first
    sizes = [len(event.data) for event in said if isinstance(event, StepOutput)]
    assert [attempt.log_end_bytes for attempt in both] == [sizes[0], sum(sizes)]
    assert all(5 <= attempt.seconds < 60 for attempt in both)
    assert "s3cr3t" not in (tmp_path / JOURNAL).read_text()
    history = read_journal(tmp_path / JOURNAL)
    assert history is not None
    assert history.retried == {1: both}
    assert history.log_start(1) == sum(sizes)
    assert history.log_start(2) == 0


def test_a_cancel_ends_the_wait(make_job: MakeJob) -> None:
    job = make_job(shell("x", retry=Retry(attempts=1, backoff_s=60)))
    timer = threading.Timer(0.1, job.cancel.set, ["ada"])
    timer.start()
    began = time.monotonic()
    outcome = retries(job).outcome_after(FAILED, time.time())
    timer.join()
    assert outcome == Outcome(State.CANCELED, Reason.CANCELED, "canceled by ada")
    assert time.monotonic() - began < 30


def test_a_canceled_job_does_not_begin_again(make_job: MakeJob) -> None:
    job = make_job(shell("x", retry=TWICE))
    job.cancel.set("ada")
    assert retries(job).outcome_after(FAILED, time.time()) is FAILED


def test_a_disk_that_fills_up_ends_the_wait(make_job: MakeJob) -> None:
    problems = iter(["", "the disk is nearly full"])
    options = replace(DEFAULT_OPTIONS, disk_problem=lambda: next(problems))
    job = make_job(shell("x", retry=Retry(attempts=1, backoff_s=60)), options=options)
    outcome = retries(job).outcome_after(FAILED, time.time())
    assert outcome is not None
    assert (outcome.state, outcome.reason) == (State.BROKEN, Reason.DISK_FULL)


def test_where_the_end_cannot_be_stored_the_step_does_not_begin_again(make_job: MakeJob) -> None:
    job = make_job(shell("x", retry=TWICE))

    def full(_: Event) -> None:
        raise OSError(28, "No space left on device")

    job.emit = full
    assert retries(job).outcome_after(FAILED, time.time()) is FAILED


@pytest.mark.parametrize(("left_s", "again"), [(60, False), (90, True)])
def test_an_attempt_begins_only_within_the_time_of_the_job(make_job: MakeJob, left_s: float, again: bool) -> None:
    job = make_job(shell("x", retry=Retry(attempts=1, backoff_s=60)))
    job.deadline = time.monotonic() + left_s
    if again:
        threading.Timer(0.1, job.cancel.set, ["the test"]).start()
    outcome = retries(job).outcome_after(FAILED, time.time())
    assert outcome is not None
    assert (outcome.state is State.CANCELED) == again


def left(ended_s_ago: float, *, begun: bool = False) -> Resumption:
    attempt = EndedAttempt(FAILED, time.time() - ended_s_ago - 1, 1, 4)
    history = History(prepared=True, retried={1: (attempt,)}, begun={1: time.monotonic()} if begun else {})
    return Resumption(history, {}, {1: StoredOutput(4)})


def test_another_process_waits_for_the_rest_of_the_back_off(make_job: MakeJob, said: list[Event]) -> None:
    step = shell("x", retry=Retry(attempts=2, backoff_s=3600))
    began = time.monotonic()
    tried = retries(make_job(step, resumption=left(3599.5)))
    assert tried.resume() is None
    assert time.monotonic() - began < 60
    assert [len(event.attempts) for event in said if isinstance(event, StepRetried)] == [1]
    assert tried.outcome_after(PASSED, time.time()) == replace(PASSED, message="passed on attempt 2 of 3")


def test_another_process_does_not_wait_for_an_attempt_that_has_begun(make_job: MakeJob) -> None:
    step = shell("x", retry=Retry(attempts=1, backoff_s=3600))
    tried = retries(make_job(step, resumption=left(0, begun=True)))
    assert tried.resume() is None
    last = tried.outcome_after(FAILED, time.time())
    assert last is not None
    assert last.message.endswith("(attempt 2 of 2)")


def test_a_step_that_keeps_failing_has_all_of_its_attempts_in_one_log(make_job: MakeJob, said: list[Event]) -> None:
    job = make_job(push(1, "host/owner/app", retry=TWICE))
    prestarter = ContainerPrestarter(job)
    outcome = run_step(job, job.plan.steps[0], prestarter, Services(job), lambda _: None)
    prestarter.close()
    assert outcome.reason is Reason.BUILD_FAILED
    assert outcome.message.endswith(" (attempt 3 of 3)")
    log = b"".join(event.data for event in said if isinstance(event, StepOutput)).decode()
    assert log.count("there is no image to push") == 3
    assert log.count("the next one begins") == 2
