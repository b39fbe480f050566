"""When a step must end: its own time, the server's limit or the job's, which go on while another process takes over."""

import time

from runner.execution.job.journal import History
from runner.execution.job.resumption import NOTHING_STORED, Resumption
from tests.support.job_result import MakeJob
from tests.support.plans import shell

EARLIER_S = 50.0


def went_on(history: History) -> Resumption:
    return Resumption(history, begun={1: NOTHING_STORED})


def test_a_step_has_its_time_from_now(make_job: MakeJob) -> None:
    job = make_job(shell("x", timeout_s=60))
    before = time.monotonic()
    limit = job.time_for(job.plan.steps[0])
    assert before + 60 <= limit.deadline <= time.monotonic() + 60
    assert limit.outcome().message.startswith("timed out after 60 s;")


def test_the_time_of_a_step_goes_on_where_another_process_takes_over(make_job: MakeJob) -> None:
    began = time.monotonic() - EARLIER_S
    job = make_job(shell("x", timeout_s=60), resumption=went_on(History(prepared=True, begun={1: began})))
    assert job.time_for(job.plan.steps[0]).deadline == began + 60


def test_a_step_that_does_not_go_on_has_all_of_its_time(make_job: MakeJob) -> None:
    left = Resumption(History(prepared=True, begun={1: time.monotonic() - EARLIER_S}), begun={})
    job = make_job(shell("x", timeout_s=60), resumption=left)
    assert job.time_for(job.plan.steps[0]).deadline > time.monotonic() + 60 - EARLIER_S


def test_the_time_of_a_job_goes_on_too_and_is_the_earlier_end(make_job: MakeJob) -> None:
    ends = time.monotonic() + 5
    job = make_job(shell("x", timeout_s=60), resumption=went_on(History(prepared=True, deadline=ends)))
    limit = job.time_for(job.plan.steps[0])
    assert limit.deadline == ends
    assert "the job's time of" in limit.outcome().message
