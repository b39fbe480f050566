"""Carries out one job: lays out the source, starts services, runs the steps in their order, and cleans up always."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from pipelines.plan import CommandsStep, PluginStep, Step
from pipelines.state import PASSED, Outcome, Reason, State
from runner.builds.buildkit import Builder
from runner.cancellation import Cancel
from runner.cleanup.leftovers import remove_tree, sweep
from runner.docker.client import Engine
from runner.docker.job_network import Patience
from runner.errors import MachineError, StepError, as_step_error
from runner.events import Emit, StepFinished, StepStarted
from runner.execution.dispatch import perform
from runner.execution.job import Assignment, Job
from runner.execution.prestart import Ahead
from runner.execution.services import Services
from runner.logs.output import Output
from runner.threads import in_background, settle

DETACHED_POLL_S = 0.2


def _no_room_to_make() -> None:
    """For whoever knows of no dead jobs."""


@contextmanager
def open_job(
    assignment: Assignment,
    engine: Engine,
    builder: Callable[[], Builder],
    emit: Emit,
    cancel: Cancel,
    complain: Callable[[str], None],
    make_room: Callable[[], None] = _no_room_to_make,
) -> Iterator[Job]:
    """A job ready to run. On leaving, nothing of it is left in the engine or on the disk, whatever happened inside.

    What cannot be removed is no verdict on the job: ``complain`` gets a sentence for it. ``make_room`` removes what
    dead jobs left, when the engine has no address for this one's network.
    """
    if ":" in str(assignment.folder):
        hint = "let TMPDIR, or on a server HEADWAY_DATA_DIR, name another"
        raise MachineError(Reason.INTERNAL, f"containers cannot mount {assignment.folder}: it has a colon; {hint}")
    if assignment.attempt > 1:
        sweep(engine, assignment.key, before_attempt=assignment.attempt)
    remove_tree(engine, assignment.folder)
    try:
        (assignment.folder / "scratch").mkdir(parents=True, mode=0o700)
        # Steps may run as any user; and containers that are started ahead must find what they mount.
        (assignment.folder / "workspace").mkdir()
        (assignment.folder / "workspace").chmod(0o777)
        job = Job(assignment, engine, builder, emit, cancel)
        job.company.prepare()
        job.sandboxes.patience = Patience(job.options.address_wait_s, make_room, job.note, job.check)
        job.closers.append(job.sandboxes.stop_waiting)
    except BaseException:
        remove_tree(engine, assignment.folder)
        raise
    try:
        yield job
    finally:
        for error in job.close():
            complain(f"something of the job {assignment.key} could not be removed: {error}")


def run_job(job: Job) -> Outcome:
    """Runs the job to its end and says how it ended. Never raises for what a step does, nor for a broken machine."""
    job.images.begin(job.wanted.early)
    services = Services(job)
    schedule = Schedule(job, services)
    checked = in_background(job.check_workspace)
    job.closers.append(partial(settle, checked))
    schedule.look_ahead()
    fault = _prepared(job, services, checked)
    if fault is None:
        return schedule.run()
    skip_all(job, fault)
    return fault


def _prepared(job: Job, services: Services, checked: Future[None]) -> Outcome | None:
    """Why the job cannot begin, or None."""
    try:
        prepare(job)
        checked.result()
        services.start()
    except (StepError, OSError) as error:
        fault = as_step_error(error)
        return Outcome(fault.state, fault.reason, job.redactor.mask_text(str(fault)))
    return None


def prepare(job: Job) -> None:
    """Lays out the source. Raises StepError or MachineError."""
    if job.plan.checkout is None:
        job.source.mkdir(parents=True)
    else:
        job.assignment.lay_out(job.source)
    for folder in (
        job.workspace_base,
        job.source,
        *(parent for parent in job.source.parents if job.workspace_base in parent.parents),
    ):
        folder.chmod(0o777)


def skip_all(job: Job, outcome: Outcome) -> None:
    """No step runs: the job ended before the first."""
    for step in job.plan.steps:
        job.emit(StepFinished(step.number, Outcome(State.SKIPPED, outcome.reason, "the job ended before this step")))


def run_step(job: Job, step: Step, ahead: Ahead, services: Services) -> Outcome:
    """One step from its first word to its last. What it cannot do is its outcome, with a sentence in its log."""
    job.emit(StepStarted(step.number))
    since_s = time.time()
    output = Output(step.number, job.emit, job.redactor, job.options.log_bytes_max)
    try:
        outcome = perform(job, step, output, partial(ahead.take, step))
    except (StepError, OSError) as error:
        outcome = as_step_error(error).outcome
    with suppress(StepError):  # how the services fared is no verdict on the step, not even where nobody can say
        for sentence in services.said_beside(step, outcome, since_s):
            output.note(f"headway: {sentence}")
    outcome = replace(outcome, message=job.redactor.mask_text(outcome.message))
    if outcome.state not in {State.PASSED, State.SKIPPED}:
        output.note(f"headway: {outcome.message}")
    return outcome


class Schedule:
    """The order of one job's steps. A step starts when all that it needs have ended; independent ones run together."""

    def __init__(self, job: Job, services: Services) -> None:
        self._job = job
        self._services = services
        self._waiting = list(job.plan.steps)
        self._running: dict[Future[Outcome], Step] = {}
        self._detached: dict[Future[Outcome], Step] = {}
        self._ended_steps: set[int] = set()
        self._verdict = PASSED
        self._canceled: Outcome | None = None
        self._ended_the_run = False
        self._ahead = Ahead(job)
        job.closers.append(self._ahead.close)

    def look_ahead(self) -> None:
        """Starts containers of steps that come next."""
        self._ahead.look(self._waiting)

    def run(self) -> Outcome:
        """Runs all steps and returns the job's outcome."""
        detached = sum(_is_detached(step) for step in self._waiting)
        with ThreadPoolExecutor(self._job.options.parallel_steps_max + detached, "step") as pool:
            try:
                self._run_all(pool)
            except BaseException:
                # The pool waits for its threads: they must hear that nobody wants their results any more.
                self._job.cancel.set("a fault", lost=True)
                raise
        canceled = self._canceled or (self._job.canceled() if self._job.cancel else None)
        decided = self._ended_the_run or self._verdict.state is State.BROKEN
        return canceled if canceled and not decided else self._verdict

    def _run_all(self, pool: ThreadPoolExecutor) -> None:
        while self._waiting or self._running:
            while self._decide_one(pool):
                pass
            self.look_ahead()
            ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in ended:
                self._ended(self._running.pop(future), future.result())
        self._end_detached()

    def _decide_one(self, pool: ThreadPoolExecutor) -> bool:
        """Starts or skips the first step whose needs have ended; False when there is none."""
        if self._job.cancel and not self._job.cancel.lost and not self._running:
            self._clean_up_after_cancel()
        step = next((step for step in self._waiting if self._is_due(step)), None)
        if step is None:
            return False
        self._waiting.remove(step)
        if why := self._why_not(step):
            self._finish(step, why)
        elif _is_detached(step):
            self._detached[pool.submit(run_step, self._job, step, self._ahead, self._services)] = step
            self._ended_steps.add(step.number)
        else:
            self._running[pool.submit(run_step, self._job, step, self._ahead, self._services)] = step
        return True

    def _is_due(self, step: Step) -> bool:
        """True when it can be decided about. What runs after a cancel waits until all else has ended."""
        later = step.on_canceled and self._job.cancel and not self._job.cancel.lost
        return self._ended_steps.issuperset(step.needs) and not later

    def _clean_up_after_cancel(self) -> None:
        """From here on only steps with ``status: canceled`` run; the cancel that ended the others does not end them."""
        self._canceled = self._job.canceled()
        self._job.images.give_up()
        self._job.cancel = Cancel()
        self._job.closers.append(self._job.cancel.close)
        self._job.failed = True

    def _why_not(self, step: Step) -> Outcome | None:
        """Why a step is not run, or None."""
        if self._canceled and step.on_canceled:
            return None
        if self._job.cancel or self._canceled:
            return Outcome(State.SKIPPED, Reason.CANCELED, "the run was canceled")
        if self._job.failed and not step.on_failure:
            return Outcome(State.SKIPPED, Reason.DEPENDENCY_FAILED, "an earlier step failed")
        if not self._job.failed and not step.on_success:
            return Outcome(State.SKIPPED, Reason.CONDITION, "it runs only after a failure (`when: status`)")
        return None

    def _ended(self, step: Step, outcome: Outcome) -> None:
        self._finish(step, outcome)
        if outcome.state not in {State.FAILED, State.BROKEN} or step.failure == "ignore":
            return
        self._job.failed = True
        if step.failure == "cancel":
            self._ended_the_run = True
            self._job.cancel.set(f"step {step.name!r}, which failed")
        if self._verdict.state is State.PASSED or outcome.state is State.BROKEN:
            message = f"step {step.name!r}: {outcome.message}"
            self._verdict = Outcome(outcome.state, outcome.reason, message, outcome.exit_code)

    def _finish(self, step: Step, outcome: Outcome) -> None:
        self._ended_steps.add(step.number)
        self._ahead.drop(step)
        self._job.lanes.leave(step.number)
        self._job.emit(StepFinished(step.number, outcome))

    def _end_detached(self) -> None:
        """Steps with ``detach`` end with the job, and their exit code does not count (as in Woodpecker)."""
        early, late = wait(self._detached, timeout=0)
        self._job.signal_detached("SIGTERM")
        late = wait(late, timeout=self._job.options.grace_s).not_done
        while late:
            # Again and again: a container may still be on its way up.
            self._job.signal_detached("SIGKILL")
            late = wait(late, timeout=DETACHED_POLL_S).not_done
        for future in early:
            self._finish(self._detached[future], future.result())
        for future, step in self._detached.items():
            if future not in early:
                future.result()
                self._finish(step, Outcome(State.PASSED, None, "ended with the job"))


def _is_detached(step: Step) -> bool:
    return isinstance(step, CommandsStep | PluginStep) and step.detach
