"""A job's services: containers that run beside the steps, which reach them by name. Steps start when all are ready."""

import re
import shlex
import socket
import time
from collections.abc import Mapping
from threading import Event, Thread
from typing import Any, assert_never

from pipelines.plan import CommandCheck, CommandsStep, HttpCheck, NamedImage, PluginStep, PortCheck, Service, Step
from pipelines.state import Outcome, Reason, State
from runner.docker.specs import ContainerSpec
from runner.errors import StepError
from runner.execution.container.container_spec import container_spec
from runner.execution.container.launch import launch
from runner.execution.job import Job
from runner.logs.output import Write

POLL_S = 0.1
LOG_LINES = 20
_LISTENING = "0A"
_DIRECTLY = "http_proxy= https_proxy="


class Services:
    """All services of a job: starts them together, waits until they are ready, and watches them until the job ends."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._running: list[RunningService] = []
        self._died: dict[str, float] = {}
        self._over = Event()
        job.closers.append(self._over.set)

    def start(self) -> None:
        """Starts all, then waits until each is ready. If one with ``failure: ignore`` fails, the job goes on."""
        for service in self._job.plan.services:
            self._running.append(RunningService(self._job, service, _Notes(self._job, service.name)))
        for running in self._running:
            try:
                running.wait_ready()
            except StepError as error:
                if running.service.failure == "fail":
                    raise
                self._job.note(f"{error}; the job goes on: the service has `failure: ignore`")
            else:
                Thread(target=self._watch, args=(running,), name=f"service {running.service.name}", daemon=True).start()

    def _watch(self, running: "RunningService") -> None:
        """Writes a note at once if the service ends while steps may need it."""
        try:
            code = self._job.engine.wait(running.container, int(self._job.job_timeout_s))
            if code is not None and not self._over.is_set():
                self._died[running.service.name] = time.time()
                self._job.note(running.with_log(f"ended with exit code {code}"))
        except Exception:  # noqa: BLE001 - the engine or the recorder went away: the steps fail for the same reason
            return

    def notes_for(self, step: Step, outcome: Outcome, since_s: float) -> list[str]:
        """What the log of a step that started at ``since_s`` (seconds since 1970) shows about the services.

        If the step failed: the output of each service since then. Else: only which services died.
        """
        if not isinstance(step, CommandsStep | PluginStep) or step.detach:
            return []
        if outcome.state is State.FAILED:
            return [note for running in self._running if (note := running.note_since(since_s))]
        died = [running for running in self._running if self._died.get(running.service.name, 0) >= since_s]
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

    def __init__(self, job: Job, service: Service, write: Write) -> None:
        """Pulls the image if necessary and starts the container on the job's network, under the service's name."""
        self._job = job
        self.service = service
        image = service.container.image
        if not isinstance(image, NamedImage):
            raise StepError(Reason.SERVICE_FAILED, f"the service {service.name!r} needs the name of an image")
        self._image = job.images.get(job.requirements.services[service.name], write)
        self._environment = job.environment(service.container.environment)
        self._launch = launch(self._environment, job.images.environment_of(str(self._image["Id"])))
        job.network.ensure()
        self.container = job.engine.create(self._spec(str(self._image["Id"])))
        job.services.append(self.container)
        job.engine.start(self.container)

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
        """Returns when the service is ready. Raises StepError with the end of its log if it ends or time is up."""
        deadline = time.monotonic() + self.service.ready_timeout_s
        while not self._job.cancel:
            state = self._inspect()
            if not state["State"]["Running"]:
                raise self._failed(f"ended with exit code {state['State']['ExitCode']} instead of serving")
            if self._ready(state, deadline):
                return
            if time.monotonic() >= deadline:
                raise self._failed(f"was not ready after {self.service.ready_timeout_s} s")
            self._job.cancel.wait(POLL_S)

    def _inspect(self) -> dict[str, Any]:
        state = self._job.engine.inspect(self.container)
        if state is None:
            raise self._failed("was removed from the engine by another program")
        return state

    def _failed(self, what: str) -> StepError:
        return StepError(Reason.SERVICE_FAILED, self.with_log(what))

    def with_log(self, what: str) -> str:
        """A sentence about what happened to the service, with the end of its log."""
        tail = self._tail()
        log = f"the end of its log:\n{tail}" if tail else "it wrote nothing"
        return f"the service {self.service.name!r} {what}; {log}"

    def _tail(self, since_s: float | None = None) -> str:
        return self._job.engine.logs(self.container, LOG_LINES, since_s).decode(errors="replace").strip()

    def death_note(self) -> str:
        """How the service ended; empty while it runs."""
        state = (self._job.engine.inspect(self.container) or {}).get("State") or {}
        return "" if state.get("Running", True) else self.with_log(f"ended with exit code {state['ExitCode']}")

    def note_since(self, since_s: float) -> str:
        """How the service ended; else what it wrote after ``since_s`` (seconds since 1970), if anything."""
        if death := self.death_note():
            return death
        tail = self._tail(since_s)
        return f"the service {self.service.name!r} wrote meanwhile:\n{tail}" if tail else ""

    def _ready(self, state: dict[str, Any], deadline: float) -> bool:
        """Checks ``ready:`` of the pipeline file; else the image's HEALTHCHECK; else its EXPOSEd TCP ports."""
        match self.service.ready:
            case CommandCheck(command=command):
                return self._succeeds("\n".join((*self._launch.restore, command)), deadline)
            case PortCheck(port=port):
                return self._listens({port}, state)
            case HttpCheck(url=url):
                url = shlex.quote(url.replace("://:", "://127.0.0.1:"))
                # Runs inside the service, with the programs of its image. BusyBox ignores NO_PROXY, so no proxy is set.
                return self._succeeds(
                    f"{_DIRECTLY} wget -q -O /dev/null {url} || curl -fsS -o /dev/null {url}", deadline
                )
            case None:
                health = state["State"].get("Health")
                if health:
                    return bool(health["Status"] == "healthy")
                return self._listens(exposed_ports(self._image), state)
            case _:
                assert_never(self.service.ready)

    def _succeeds(self, command: str, deadline: float) -> bool:
        """True when the shell command succeeds. Waits for a command that hangs no longer than the deadline allows, and
        stops waiting on cancellation.
        """
        run = self._job.engine.start_exec(self.container, ["sh", "-c", command], self._launch.overrides)
        while run and time.monotonic() < deadline and not self._job.cancel:
            status = self._job.engine.exec_exit_code(run)
            if status is not None:
                return status == 0
            self._job.cancel.wait(POLL_S / 2)
        return False

    def _listens(self, ports: set[int], state: dict[str, Any]) -> bool:
        """True when all ``ports`` are open: by the kernel's table, or by connecting if the image has no ``cat``."""
        if not ports:
            return True
        look = ["cat", "/proc/net/tcp", "/proc/net/tcp6"]
        status, table = self._job.engine.exec(self.container, look, self._launch.overrides)
        if status in {0, 1}:
            return ports <= listening_ports(table.decode(errors="replace"))
        addresses = _addresses(state) or ["127.0.0.1"]
        return all(_connects(address, port) for address in addresses for port in ports)


def exposed_ports(image: Mapping[str, Any]) -> set[int]:
    """The TCP ports that an image EXPOSEs."""
    ports = (image.get("Config") or {}).get("ExposedPorts") or {}
    return {int(port.partition("/")[0]) for port in ports if port.endswith("/tcp")}


def listening_ports(table: str) -> set[int]:
    """The ports in ``/proc/net/tcp`` that listen for connections from other machines, not only on loopback."""
    found = re.findall(r"^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) ", table, re.MULTILINE)
    return {int(port, 16) for address, port, state in found if state == _LISTENING and not _is_loopback(address)}


def _is_loopback(address: str) -> bool:
    return address in {"0100007F", "00000000000000000000000001000000"}


def _addresses(state: Mapping[str, Any]) -> list[str]:
    networks = state["NetworkSettings"]["Networks"].values()
    return [network["IPAddress"] for network in networks if network.get("IPAddress")]


def _connects(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False
