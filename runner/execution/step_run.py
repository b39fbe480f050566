"""Runs one step: its attempts, each in a fresh container, what its log says of their ends, and its outcome."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from pipelines.plan import BuildStep, Step
from pipelines.state import Outcome, State
from runner.errors import DiskNearlyFullError, StepError, as_step_error
from runner.events import ProblemLinesFound, StepStarted
from runner.execution.container.step_container import OnBegun
from runner.execution.dispatch import perform
from runner.execution.job.job import Job
from runner.execution.job.resumption import NOTHING_STORED
from runner.execution.prestart import ContainerPrestarter
from runner.execution.retries import Retries
from runner.execution.service.services import Services
from runner.logs.output import CUT_OFF, Output
from runner.reports.problem_lines import ProblemLines


def run_step(job: Job, step: Step, prestarter: ContainerPrestarter, services: Services, on_begun: OnBegun) -> Outcome:
    """Runs one step to the end of its last attempt. Errors become outcomes, and sentences in its log."""
    job.emit(StepStarted(step.number))
    problems = ProblemLines(job.plan.workspace)
    output = _output(job, step, problems)
    if note := job.reuse_notes.get(step.number):
        output.note(f"headway: {note}")
    retries = Retries(job, step, output)
    attempt = partial(_perform, job, step, output, services, prestarter, on_begun)
    outcome = retries.resume()
    while outcome is None:
        opened = job.resumption.history.opened.get(step.number) if step.number in job.begun else None
        problems.restart()
        since_s = opened.since_s if opened else time.time()
        ended = _outcome_of(job, attempt)
        _explain(output, ended, partial(services.notes_for, step, ended, since_s))
        outcome = retries.outcome_after(ended, since_s)
    if outcome.state is State.FAILED and (found := problems.find()):
        job.emit(ProblemLinesFound(step.number, found))
    if output.cut_off:
        outcome = replace(outcome, message="; ".join(filter(None, (outcome.message, CUT_OFF))))
    return outcome


def _perform(
    job: Job, step: Step, output: Output, services: Services, prestarter: ContainerPrestarter, on_begun: OnBegun
) -> Outcome:  # fmt: skip
    outcome = perform(job, step, output, partial(prestarter.take, step), on_begun)
    if isinstance(step, BuildStep) and outcome.state is State.PASSED:
        services.start_after(step)
    return outcome


def _outcome_of(job: Job, attempt: Callable[[], Outcome]) -> Outcome:
    try:
        outcome = attempt()
    except (StepError, OSError) as error:
        outcome = as_step_error(error).outcome
    if outcome.state is not State.CANCELED and (problem := job.options.disk_problem()):
        # Also where the step ended before it could be stopped: its exit code says nothing about why, and its files
        # are gone.
        return DiskNearlyFullError(problem).outcome
    return outcome


def _explain(output: Output, outcome: Outcome, notes: Callable[[], list[str]]) -> None:
    """Writes what services did, and the outcome where the step did not pass. Neither changes the outcome."""
    with suppress(StepError, OSError):  # where the services' logs cannot be read
        for sentence in notes():
            output.note(f"headway: {sentence}")
    if outcome.state not in {State.PASSED, State.SKIPPED}:
        with suppress(OSError):  # on a full disk the log ends earlier: the outcome says why
            output.note(f"headway: {outcome.message}")


def _output(job: Job, step: Step, problems: ProblemLines) -> Output:
    """The step's output, which goes on where an earlier process stopped."""
    options, stored = job.options, job.resumption.begun.get(step.number, NOTHING_STORED)
    output = Output(
        step.number, job.emit, job.redactor, options.log_bytes_max, stored.size_bytes, options.disk_low, problems
    )
    output.full = stored.full
    return output
