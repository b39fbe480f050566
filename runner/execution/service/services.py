"""A job's services: containers that run beside the steps, which reach them by name. Steps start when all are ready."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Lock, Thread

from pipelines.plan import CommandsStep, PluginStep, Service, Step
from pipelines.state import Outcome, State
from pipelines.step_options.ready import HealthCheck
from runner.errors import CanceledError, MachineError, StepError
from runner.events import ServiceChanged, ServiceState
from runner.execution.container.step_container import StartedContainer
from runner.execution.job.job import Job
from runner.execution.service.running_service import RunningService


class Services:
    """All services of a job: starts them together, waits until they are ready, and watches them until the job ends."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._running: list[RunningService] = []
        self._ended: dict[str, float] = {}
        self._lock = Lock()
        self._over = Event()
        job.closers.append(self._over.set)

    def start(self) -> None:
        """Starts those that need no image of a build step, then waits for all at once.

        If one with ``failure: ignore`` fails, the job goes on.
        """
        self._start([service for service in self._job.plan.services if service.build == 0])

    def start_after(self, step: Step) -> None:
        """Starts the services that run in the image of a build step, which has just passed, and waits for them.

        Where one does not get ready, those of an earlier attempt of the step do not stay.
        """
        wanted = [service for service in self._job.plan.services if service.build == step.number]
        try:
            self._start(wanted)
        except BaseException:
            for running in [each for each in self._running if each.service in wanted]:
                self._running.remove(running)
                self._remove(running.container)
            raise

    def _start(self, services: Sequence[Service]) -> None:
        given_up, batch = Event(), list[RunningService]()
        for service in services:
            with self._ignoring(service):
                self._tell(service, "starting")
                batch.append(RunningService(self._job, service, partial(self._stopped, given_up)))
                self._running.append(batch[-1])
                self._job.emit(ServiceChanged(service.name, "starting", has_container=True))
        with ThreadPoolExecutor(len(batch) or 1, "ready") as pool:
            try:
                for ready in as_completed([pool.submit(self._wait, running) for running in batch]):
                    ready.result()
            finally:
                given_up.set()  # the pool waits for its threads

    def resume(self, containers: Mapping[str, str]) -> None:
        """Goes on with the running services of an earlier process; ``containers`` has their ids.

        A build step that had not ended is done again, and starts its services again.
        """
        for service in self._job.plan.services:
            if not (container := containers.get(service.name)):
                continue
            if (build := service.build) and build not in self._job.resumption.ended:
                self._remove(container)
                continue
            self._running.append(RunningService(self._job, service, partial(self._stopped, self._over), container))
            self._watch_in_background(self._running[-1])

    def wait_for_step(self, step: CommandsStep | PluginStep, started: StartedContainer) -> None:
        """Returns when a detached step is ready, or nothing waits for it any more. Raises StepError if it is not."""
        known = Service(
            name=step.name, container=step.container, ready=step.ready, ready_timeout_s=step.ready_timeout_s
        )
        stopped = partial(self._stopped, self._over)
        running = RunningService(self._job, known, stopped, started.container, started.image)
        running.wait_ready()
        may_end = isinstance(step.ready, HealthCheck) and running.has_passed()
        if not stopped() and running.has_ended() and not may_end:
            raise running.failed("ended before it was ready")

    def _tell(self, service: Service, state: ServiceState, message: str = "") -> None:
        self._job.emit(ServiceChanged(service.name, state, message))

    def _remove(self, container: str) -> None:
        if container in self._job.services:
            self._job.services.remove(container)
        self._job.removals.remove_now(container)

    def _watch_in_background(self, running: RunningService) -> None:
        Thread(target=self._watch, args=(running,), name=f"service {running.service.name}", daemon=True).start()

    def _stopped(self, given_up: Event) -> bool:
        return bool(self._job.cancel) or given_up.is_set()

    @contextmanager
    def _ignoring(self, service: Service) -> Iterator[None]:
        try:
            yield
        except StepError as error:
            self._tell(service, "failed", str(error))
            if service.failure == "fail" or isinstance(error, CanceledError | MachineError):
                raise
            self._ended.setdefault(service.name, 0)  # the note below says it
            self._job.note(f"{error}; the job goes on: the service has `failure: ignore`")

    def _wait(self, running: RunningService) -> None:
        with self._ignoring(running.service):
            running.wait_ready()
            if running.has_ended():
                self._note_end(running)
            else:
                self._tell(running.service, "ready")
                self._watch_in_background(running)

    def _watch(self, running: RunningService) -> None:
        """Writes a note at once if the service ends while steps may need it."""
        try:
            code = self._job.engine.wait(running.container, int(self._job.job_timeout_s))
            if code is not None and not self._over.is_set():
                self._note_end(running)
        except Exception:  # noqa: BLE001 - the engine or the recorder went away: the steps fail for the same reason
            return

    def note_ends(self) -> None:
        """Writes the notes about services that ended before the last step did and were not noticed yet."""
        with suppress(StepError, OSError):  # they change no verdict
            for running in self._running:
                if running.has_ended():
                    self._note_end(running)

    def _note_end(self, running: RunningService) -> None:
        """Writes a note about a service that has ended, once, unless the file says that it ends."""
        if running not in self._running:  # another attempt of its build step has begun
            return
        with self._lock:
            known = running.service.name in self._ended
            self._ended.setdefault(running.service.name, time.time())
        if known:
            return
        note = running.death_note()
        self._tell(running.service, "ended", note)
        if note:
            self._job.note(note)

    def notes_for(self, step: Step, outcome: Outcome, since_s: float) -> list[str]:
        """What the log of a step that started at ``since_s`` (seconds since 1970) shows about the services.

        If the step failed: the output of each service since then. Else: only which services died.
        """
        if not isinstance(step, CommandsStep | PluginStep) or step.detach:
            return []
        if outcome.state is State.FAILED:
            return [note for running in self._running if (note := running.note_since(since_s))]
        died = [running for running in self._running if self._ended.get(running.service.name, 0) >= since_s]
        return [note for running in died if (note := running.death_note())]
