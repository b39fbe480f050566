"""The order of one job's steps: starts each when the steps that it needs have ended, skips it, or cancels it."""

from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import Any

from pipelines.plan import CommandsStep, PluginStep, Step
from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.step_options.ready import HealthCheck
from runner.cancellation import Cancel
from runner.errors import StepError, as_step_error
from runner.events import StepFinished
from runner.execution.container.step_container import OnBegun, StartedContainer
from runner.execution.job.job import Job
from runner.execution.job.resumption import Resumption
from runner.execution.prestart import ContainerPrestarter
from runner.execution.reuse.step_reuse import StepReuse
from runner.execution.service.services import Services
from runner.execution.step_run import run_step

DETACHED_POLL_S = 0.2
DetachedStep = CommandsStep | PluginStep


class Scheduler:
    """Runs the steps of one job. A step starts when those that it needs have ended; independent steps run together.

    A step that needs a detached one starts when the commands of that one have begun, as in Woodpecker.
    """

    def __init__(self, job: Job, services: Services, reuse: StepReuse) -> None:
        self._job = job
        self._reuse = reuse
        self._services = services
        self._waiting = [step for step in job.plan.steps if step.number not in job.assignment.carried]
        self._running: dict[Future[Outcome], Step] = {}
        self._detached: dict[Future[Outcome], Step] = {}
        self._beginning: dict[Future[Outcome | None], Step] = {}
        self._unready: dict[int, Outcome] = {}
        self.ended_steps: set[int] = set(job.assignment.carried)
        self._verdict = PASSED
        self._begun: set[int] = set()
        self._canceled: Outcome | None = None
        self._canceled_by_step = False
        self._prestarter = ContainerPrestarter(job)
        job.closers.append(self._prestarter.close)

    def resume(self, left: Resumption) -> None:
        """Goes on where an earlier process stood: with the verdicts of the steps that ended, in their order.

        The steps that had begun come first: they run, whatever happened since to those beside them.
        """
        by_number = {step.number: step for step in self._job.plan.steps}
        for number, outcome in left.ended.items():
            self.ended_steps.add(number)
            self._judge(by_number[number], outcome)
        self._begun = set(left.begun)
        self._waiting = [step for step in self._waiting if step.number not in left.ended]
        self._waiting.sort(key=lambda step: step.number not in left.begun)
        if by := left.history.canceled_by:
            self._job.cancel.set(by)
            self._run_only_canceled_steps()

    def prestart(self) -> None:
        """Starts containers of the next steps before their turn."""
        self._prestarter.start_next(self._waiting)

    def reuse_ahead(self) -> bool:
        """Takes earlier results while nothing else has to be prepared. True if no step is left that has to run."""
        decided = set[int]()
        while self._reuse.is_on and not self._job.cancel:
            due = (step for step in self._waiting if self._is_due(step) and step.number not in decided)
            step = next(due, None)
            if step is None:
                break
            decided.add(step.number)
            if skipped := self._skip_reason(step):
                self._waiting.remove(step)
                self._finish(step, skipped)
            elif self._reuse.may_take(step) and (taken := self._reuse.take(step)):
                self._waiting.remove(step)
                self._ended(step, taken)
        return self._reuse.is_on and not self._waiting

    def run(self) -> Outcome:
        """Runs all steps and returns the job's outcome."""
        detached = sum(_is_detached(step) for step in self._waiting)
        with ThreadPoolExecutor(self._job.options.parallel_steps_max + detached, "step") as pool:
            try:
                self._run_all(pool)
            except BaseException:
                # The pool waits for its threads: the cancellation ends the steps that they run.
                self._job.cancel.set("a fault", lost=True)
                raise
        canceled = self._canceled or (self._job.canceled() if self._job.cancel else None)
        decided = self._canceled_by_step or self._verdict.state is State.BROKEN
        return canceled if canceled and not decided else self._verdict

    def _run_all(self, pool: ThreadPoolExecutor) -> None:
        while self._waiting or self._running:
            while self._decide_one(pool):
                pass
            self.prestart()
            awaited: list[Future[Any]] = [*self._running, *self._beginning]
            done, _ = wait(awaited, return_when=FIRST_COMPLETED)
            for begun in self._beginning.keys() & done:
                self._has_begun(begun)
            for ended in self._running.keys() & done:
                self._ended(self._running.pop(ended), ended.result())
        self._end_detached()

    def _decide_one(self, pool: ThreadPoolExecutor) -> bool:
        """Starts or skips the first step whose needs have ended; False if there is none."""
        at_work = self._running or any(step.number in self._begun for step in self._waiting)
        if self._job.cancel and not self._job.cancel.lost and not at_work:
            self._run_only_canceled_steps()
        step = next((step for step in self._waiting if self._is_due(step)), None)
        if step is None:
            return False
        self._waiting.remove(step)
        if skipped := self._skip_reason(step):
            self._finish(step, skipped)
        elif isinstance(step, DetachedStep) and step.detach:
            self._detach(pool, step)
        else:
            self._running[pool.submit(self._run_step, step)] = step
        return True

    def _detach(self, pool: ThreadPoolExecutor, step: DetachedStep) -> None:
        begun = Future[Outcome | None]()
        running = pool.submit(self._run_step, step, partial(self._begins, step, begun))
        running.add_done_callback(partial(_set_ended, step, begun))  # it may fail before its commands begin
        self._detached[running], self._beginning[begun] = step, step

    def _begins(self, step: DetachedStep, begun: Future[Outcome | None], started: StartedContainer) -> None:
        """The commands of a detached step begin: steps that need it may start at once, or when it is ready."""
        if step.ready is None:
            _set(begun, None)
        else:
            Thread(target=self._wait_ready, args=(step, begun, started), name=f"ready {step.name}", daemon=True).start()

    def _wait_ready(self, step: DetachedStep, begun: Future[Outcome | None], started: StartedContainer) -> None:
        outcome = None
        try:
            self._services.wait_for_step(step, started)
        except (StepError, OSError) as error:
            outcome = as_step_error(error).outcome
        finally:
            _set(begun, outcome)

    def _has_begun(self, begun: Future[Outcome | None]) -> None:
        """Steps that need a detached one go on. One that does not get ready has failed, though it may still run."""
        step = self._beginning.pop(begun)
        self.ended_steps.add(step.number)
        if failed := begun.result():
            self._unready[step.number] = failed
            self._judge(step, failed)

    def _is_due(self, step: Step) -> bool:
        """True if the step can be started or skipped now. Steps for after a cancellation wait until the others end."""
        later = step.on_canceled and self._job.cancel and not self._job.cancel.lost and step.number not in self._begun
        return self.ended_steps.issuperset(step.needs) and not later

    def _run_only_canceled_steps(self) -> None:
        """From now on only steps with ``status: canceled`` run. They get a cancellation of their own."""
        self._job.journal.canceled(self._job.cancel.by)
        self._canceled = self._job.canceled()
        self._job.status.cancel_message = self._canceled.message
        self._job.images.cancel_pulls()
        self._job.cancel = Cancel()
        self._job.closers.append(self._job.cancel.close)

    def _skip_reason(self, step: Step) -> Outcome | None:
        """Why a step is skipped, or None if it runs."""
        if step.number in self._begun:
            return None
        if self._job.cancel:
            return Outcome(State.SKIPPED, Reason.CANCELED, f"the run was {self._job.canceled().message}")
        if self._job.options.disk_problem():
            return Outcome(State.SKIPPED, Reason.DISK_FULL, "the job had filled the disk, and its files were removed")
        status = self._job.status
        return None if status.will_run(step) else status.skipped(step)

    def _run_step(self, step: Step, on_begun: OnBegun = lambda _: None) -> Outcome:
        taken = self._reuse.take(step)
        return taken or run_step(self._job, step, self._prestarter, self._services, on_begun)

    def _ended(self, step: Step, outcome: Outcome) -> None:
        self._finish(step, outcome)
        self._judge(step, outcome)

    def _judge(self, step: Step, outcome: Outcome) -> None:
        """What the outcome of a step means for the job."""
        if outcome.state not in {State.FAILED, State.BROKEN}:
            return
        if step.failure == "ignore" and outcome.reason is not Reason.DISK_FULL:
            return
        self._job.status.failed_steps.append(step.name)
        if step.failure == "cancel":
            self._canceled_by_step = True
            self._job.cancel.set(f"step {step.name!r}, which failed")
        if self._verdict.state is State.PASSED or outcome.state is State.BROKEN:
            message = f"step {step.name!r}: {outcome.message}"
            self._verdict = Outcome(outcome.state, outcome.reason, message, outcome.exit_code)

    def _finish(self, step: Step, outcome: Outcome) -> None:
        self.ended_steps.add(step.number)
        self._prestarter.drop(step)
        if step.number not in self._reuse.taken:
            self._job.emit(StepFinished(step.number, outcome))
        self._reuse.ended(step, outcome)

    def _end_detached(self) -> None:
        """Stops the steps with ``detach`` at the end of the job. Their exit code does not count (as in Woodpecker).

        One that ended by itself shows how: the engine knows, also where its end has not been read yet.
        """
        ran = self._job.signal_detached("SIGTERM")
        late = wait(self._detached, timeout=self._job.options.grace_s if ran else 0).not_done
        while late:
            # Repeated, because a container may still be starting.
            ran |= self._job.signal_detached("SIGKILL")
            late = wait(late, timeout=DETACHED_POLL_S).not_done
        for future, step in self._detached.items():
            outcome = future.result()
            by_job = replace(PASSED, message="ended with the job") if step.number in ran else outcome
            self._finish(step, self._unready.get(step.number) or by_job)


def _set(begun: Future[Outcome | None], outcome: Outcome | None) -> None:
    """Idempotent: what comes first counts."""
    with suppress(InvalidStateError):
        begun.set_result(outcome)


def _set_ended(step: DetachedStep, begun: Future[Outcome | None], ended: Future[Outcome]) -> None:
    """The step has ended, maybe before it was ready."""
    why = None
    if step.ready is not None and not begun.done() and ended.exception() is None:
        why = ended.result()
        if why.state is State.PASSED and isinstance(step.ready, HealthCheck):
            why = None  # a service of a Compose file may do some work and end
        elif why.state is State.PASSED:
            why = Outcome(State.FAILED, Reason.SERVICE_FAILED, "it ended before it was ready")
    _set(begun, why)


def _is_detached(step: Step) -> bool:
    return isinstance(step, CommandsStep | PluginStep) and step.detach
