"""The container of one service, or of a detached step that others wait for."""

import time
from collections.abc import Callable
from shlex import quote
from typing import Any

from pipelines.plan import NamedImage, Service
from pipelines.state import Reason
from runner.docker.containers.specs import ContainerSpec
from runner.errors import StepError
from runner.execution.container.container_spec import container_spec
from runner.execution.container.launch import launch
from runner.execution.job.job import Job
from runner.execution.service.readiness import POLL_S, Readiness

CHECK_PAUSE_S = 5
LOG_LINES = 20


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

    def has_passed(self) -> bool:
        """True if it ended with 0."""
        state = (self._job.engine.inspect(self.container) or {}).get("State") or {}
        return not state.get("Running", True) and state.get("ExitCode") == 0

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
