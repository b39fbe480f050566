"""Decides after each attempt of a step whether it runs again, and waits before it does."""

import time
from dataclasses import replace

from pipelines.plan import Step
from pipelines.state import Outcome, State
from pipelines.step_options.retry_policy import Retry
from runner.errors import DiskNearlyFullError
from runner.events import EndedAttempt, StepRetried
from runner.execution.job.job import Job
from runner.execution.job.masked_events import masked_outcome
from runner.logs.output import Output

DISK_POLL_S = 0.5
NO_RETRY = Retry(attempts=0)


class Retries:
    """The attempts of one step. What each wrote is stored, and the journal says that it ended, before the next one."""

    def __init__(self, job: Job, step: Step, output: Output) -> None:
        self._job, self._step, self._output = job, step, output
        self._policy = step.retry or NO_RETRY
        self._ended: tuple[EndedAttempt, ...] = ()

    def resume(self) -> Outcome | None:
        """Goes on after the attempts that an earlier process of the job saw the end of.

        Returns the step's outcome where the job was canceled before the next attempt.
        """
        number = self._step.number
        self._ended = self._job.resumption.history.retried.get(number, ())
        if not self._ended:
            return None
        self._job.emit(StepRetried(number, self._ended))
        if number in self._job.begun:
            return None
        last = self._ended[-1]
        passed_s = max(0.0, time.time() - last.started_s - last.seconds)
        return self._wait(self._policy.backoff_s - passed_s)

    def outcome_after(self, outcome: Outcome, since_s: float) -> Outcome | None:
        """The step's outcome after this attempt, which began at ``since_s``; None if it runs again, after the back-off.

        Where the end of the attempt cannot be stored, on a full disk, the step does not run again.
        """
        if not self._runs_again(outcome):
            return self._final(outcome)
        try:
            self._store_end(outcome, since_s)
        except OSError:
            return self._final(outcome)
        return self._wait(self._policy.backoff_s)

    def _runs_again(self, outcome: Outcome) -> bool:
        job = self._job
        if len(self._ended) >= self._policy.attempts or not self._policy.covers(outcome):
            return False
        if job.cancel or job.options.disk_problem():
            return False
        return time.monotonic() + self._policy.backoff_s < job.deadline

    def _store_end(self, outcome: Outcome, since_s: float) -> None:
        number = self._step.number
        after = f" in {self._policy.backoff_s} s" if self._policy.backoff_s else ""
        self._output.note(f"headway: this was {self._name()}; the next one begins{after}")
        shown = masked_outcome(outcome, self._job.redactor)
        ended = EndedAttempt(shown, since_s, max(0.0, time.time() - since_s), self._output.offset)
        self._job.emit(StepRetried(number, (*self._ended, ended)))
        self._job.journal.retried(number, ended)
        self._job.retried.add(number)
        self._ended = (*self._ended, ended)
        self._job.begun.pop(number, None)

    def _wait(self, seconds: float) -> Outcome | None:
        """Waits before the next attempt. Returns the step's outcome if there will be none."""
        until = time.monotonic() + min(seconds, self._policy.backoff_s)
        while (left_s := until - time.monotonic()) > 0 and not self._job.cancel:
            self._job.cancel.wait(min(left_s, DISK_POLL_S))
            if problem := self._job.options.disk_problem():
                return DiskNearlyFullError(problem).outcome
        return self._job.canceled() if self._job.cancel else None

    def _name(self) -> str:
        return f"attempt {len(self._ended) + 1} of {self._policy.attempts + 1}"

    def _final(self, outcome: Outcome) -> Outcome:
        """The outcome of the last attempt, with its number if it is not the first."""
        if not self._ended or outcome.state not in {State.PASSED, State.FAILED, State.BROKEN}:
            return outcome
        if outcome.state is State.PASSED:
            said = f"passed on {self._name()}"
            return replace(outcome, message="; ".join(filter(None, (said, outcome.message))))
        return replace(outcome, message=f"{outcome.message} ({self._name()})")
