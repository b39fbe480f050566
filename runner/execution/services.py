"""A job's services: containers that run beside the steps, which reach them by name. Steps start when all are ready."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from functools import partial
from shlex import quote
from threading import Event, Lock, Thread
from typing import Any

from pipelines.plan import CommandsStep, NamedImage, PluginStep, Service, Step
from pipelines.state import Outcome, Reason, State
from runner.docker.specs import ContainerSpec
from runner.errors import CanceledError, MachineError, StepError
from runner.execution.container.container_spec import container_spec
from runner.execution.container.launch import launch
from runner.execution.container.step_container import StartedContainer
from runner.execution.job import Job
from runner.execution.readiness import POLL_S, Readiness

CHECK_PAUSE_S = 5
LOG_LINES = 20


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
                batch.append(RunningService(self._job, service, partial(self._stopped, given_up)))
                self._running.append(batch[-1])
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
        if not stopped() and running.has_ended():
            raise running.failed("ended before it was ready")

    def _remove(self, container: str) -> None:
        if container in self._job.services:
            self._job.services.remove(container)
        self._job.removals.remove_now(container)

    def _watch_in_background(self, running: "RunningService") -> None:
        Thread(target=self._watch, args=(running,), name=f"service {running.service.name}", daemon=True).start()

    def _stopped(self, given_up: Event) -> bool:
        return bool(self._job.cancel) or given_up.is_set()

    @contextmanager
    def _ignoring(self, service: Service) -> Iterator[None]:
        try:
            yield
        except StepError as error:
            if service.failure == "fail" or isinstance(error, CanceledError | MachineError):
                raise
            self._ended.setdefault(service.name, 0)  # the note below says it
            self._job.note(f"{error}; the job goes on: the service has `failure: ignore`")

    def _wait(self, running: "RunningService") -> None:
        with self._ignoring(running.service):
            running.wait_ready()
            if running.has_ended():
                self._note_end(running)
            else:
                self._watch_in_background(running)

    def _watch(self, running: "RunningService") -> None:
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

    def _note_end(self, running: "RunningService") -> None:
        """Writes a note about a service that has ended, once, unless the file says that it ends."""
        with self._lock:
            known = running.service.name in self._ended
            self._ended.setdefault(running.service.name, time.time())
        if not known and (note := running.death_note()):
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


class _Notes:
    """Writes lines about a service, such as the progress of its pull, to the job's notes."""

    def __init__(self, job: Job, name: str) -> None:
        self._job = job
        self._name = name

    def __call__(self, line: str) -> None:
        """One line, without its end."""
        self._job.note(f"{self._name}: {line}")


class RunningService:
    """The running container of one service."""

    def __init__(
        self, job: Job, service: Service, stopped: Callable[[], bool], container: str = "", image: str = ""
    ) -> None:
        """Pulls the image if necessary and starts the container on the job's network, under the service's name.

        With ``container`` it runs already; with ``image``, an id, it is that of a detached step.
        """
        self._job = job
        self.service = service
        self._stopped = stopped
        self._label = f"{'step' if image else 'service'} {service.name!r}"
        self._image = self._image_of(image)
        self._environment = job.environment(service.container.environment)
        self._launch = launch(self._environment, job.images.environment_of(str(self._image["Id"])))
        if image and service.container.directory:  # checks run where the step's commands do
            go = f"cd -- {quote(service.container.directory)}"
            self._launch = self._launch._replace(restore=(*self._launch.restore, go))
        self.container = container or self._start()
        self.readiness = Readiness(job.engine, self.container, service, self._image, self._launch, stopped)

    def _image_of(self, known: str) -> dict[str, Any]:
        service, job = self.service, self._job
        if not known and isinstance(service.container.image, NamedImage):
            return job.images.get(job.requirements.services[service.name], _Notes(job, service.name))
        image = job.engine.image(known or job.built.get(service.build, ""))
        if image is None:
            raise StepError(Reason.SERVICE_FAILED, f"the image of the {self._label} is gone from the engine; re-run")
        job.images.note(image)
        return image

    def _start(self) -> str:
        with self._job.timed("create", self.service.name):
            return self._create()

    def _create(self) -> str:
        self._job.network.ensure()
        container = self._job.engine.create(self._spec(str(self._image["Id"])))
        self._job.services.append(container)
        self._job.journal.service(self.service.name, container)
        self._job.engine.start(container)
        return container

    def _spec(self, image: str) -> ContainerSpec:
        container = self.service.container
        script = "\n".join((*self._launch.restore, *self.service.commands))
        base = ContainerSpec(
            image=image,
            labels=self._job.labels(),
            network=container.network_mode or self._job.network.name,
            environment=self._environment | (self._launch.overrides if self.service.commands else {}),
            entrypoint=("sh", "-ec", script) if self.service.commands else container.entrypoint,
            directory=container.directory if self.service.commands else "",
            aliases=() if container.network_mode else (self.service.name,),
        )
        return container_spec(self._job, container, base)

    def wait_ready(self) -> None:
        """Returns when the service is ready, has ended with 0, or no step waits any more.

        Raises StepError with the end of its log if it ends with another number before it was ready, or time is up. One
        that the steps wait for in no way may end as it likes.
        """
        ready = self.readiness
        if not ready.wanted:
            return
        deadline = time.monotonic() + self.service.ready_timeout_s
        while not self._stopped():
            asked = time.monotonic()
            state = self._inspect()
            if not state["State"]["Running"]:
                if code := state["State"]["ExitCode"]:
                    raise self.failed(f"ended with exit code {code}, and the steps wait for {ready.wanted}")
                return
            if ready.holds(state, deadline):
                return
            if time.monotonic() >= deadline:
                late = f"was not ready after {self.service.ready_timeout_s} s: the steps wait for {ready.wanted}"
                raise self.failed(f"{late}; {ready.remedy()}")
            # A check that takes long is not asked all the time.
            self._job.cancel.wait(min(max(POLL_S, time.monotonic() - asked), CHECK_PAUSE_S))

    def _inspect(self) -> dict[str, Any]:
        state = self._job.engine.inspect(self.container)
        if state is None:
            raise self.failed("was removed from the engine by another program")
        return state

    def failed(self, what: str) -> StepError:
        """The error of one that does not get ready: what happened, and the end of its log."""
        return StepError(Reason.SERVICE_FAILED, self.with_log(what))

    def with_log(self, what: str) -> str:
        """A sentence about what happened to the service, with the end of its log."""
        tail = self._tail()
        log = f"the end of its log:\n{tail}" if tail else "it wrote nothing"
        return f"the {self._label} {what}; {log}"

    def _tail(self, since_s: float | None = None) -> str:
        return self._job.engine.logs(self.container, LOG_LINES, since_s).decode(errors="replace").strip()

    def has_ended(self) -> bool:
        """True if it does not run any more, or is gone."""
        state = self._job.engine.inspect(self.container)
        return state is not None and not state["State"]["Running"]

    def death_note(self) -> str:
        """How the service ended; empty while it runs, and if the file says that it ends."""
        state = (self._job.engine.inspect(self.container) or {}).get("State") or {}
        code = state.get("ExitCode")
        if state.get("Running", True) or (self.readiness.waits_for_exit and code == 0):
            return ""
        hint = " (`ready: exit` lets the steps wait for that)" if code == 0 else ""
        return self.with_log(f"ended with exit code {code}{hint}")

    def note_since(self, since_s: float) -> str:
        """How the service ended; else what it wrote after ``since_s`` (seconds since 1970), if anything."""
        if death := self.death_note():
            return death
        tail = self._tail(since_s)
        return f"the service {self.service.name!r} wrote meanwhile:\n{tail}" if tail else ""
