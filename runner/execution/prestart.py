"""Prestart: starts the containers of the next steps while the present ones run. They wait at their gate (see gate.py).

A step then takes only as long as its commands: creating and starting its container costs the run no time. A step cannot
notice it: its script, late variables and folder come through the gate at its turn, the checkout is a mount, and names
of services are looked up when the step asks. What an earlier step with rights on the host could make or replace
is taken when a container is created, so a step that uses such a thing is not prestarted (``_takes_from_host``).
"""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Lock

from pipelines.plan import BuiltImage, CommandsStep, Container, Step
from runner.errors import StepError
from runner.execution.container import step_container
from runner.execution.container.step_container import StartedContainer
from runner.execution.job.job import Job
from runner.execution.resources.free_memory import available_bytes

STARTS_AT_ONCE_MAX = 4
"""A container with a network endpoint of its own takes the engine long, but most of it is waiting: four together are
started in half the time of four in a row."""
MEMORY_BYTES_MIN = 512 * 1024**2
"""No container is prestarted while the machine has less free memory than this."""

_FIXED_NETWORKS = {"", "none", "host"}


class ContainerPrestarter:
    """The prestarted containers of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pool = ThreadPoolExecutor(STARTS_AT_ONCE_MAX, "prestart")
        self._lock = Lock()
        self._starts: dict[int, Future[StartedContainer | None]] = {}
        self._over: set[int] = set()
        self._closed = False

    def start_next(self, waiting: Iterable[Step]) -> None:
        """Starts the containers of the next waiting steps: at once, or as soon as their image is here."""
        if self._job.cancel:
            return
        wanted = [step for step in waiting if self._job.status.will_run(step)][: self._job.options.steps_ahead_max]
        for step in wanted:
            if isinstance(step, CommandsStep) and is_prestartable(step) and not self._is_started(step):
                self._start_with_image(step)

    def _is_started(self, step: CommandsStep) -> bool:
        """False also if an earlier try found no image or not enough memory."""
        start = self._starts.get(step.number)
        return start is not None and not (start.done() and start.exception() is None and start.result() is None)

    def _start_with_image(self, step: CommandsStep) -> None:
        image = step.container.image
        if not isinstance(image, BuiltImage):
            self._job.images.when_here(self._job.requirements.steps[step.number], partial(self._submit, step))
        elif image.step in self._job.built:
            self._submit(step, self._job.built[image.step])

    def _submit(self, step: CommandsStep, image_id: str) -> None:
        """Starts the container, unless the step's turn came before its image."""
        with self._lock:
            if not self._closed and step.number not in self._over and not self._is_started(step):
                self._starts[step.number] = self._pool.submit(self._start, step, image_id)

    def _start(self, step: CommandsStep, image_id: str) -> StartedContainer | None:
        image = self._job.engine.image(image_id)
        if image is None or available_bytes() < MEMORY_BYTES_MIN:
            return None
        self._job.images.note(image)
        return step_container.start(self._job, step, image_id)

    def take(self, step: Step) -> StartedContainer | None:
        """The step's container, if it was prestarted. Raises the error if starting it failed."""
        start = self._pop(step.number)
        return start.result() if start else None

    def drop(self, step: Step) -> None:
        """Removes the step's container: the step does not run, or has ended."""
        start = self._pop(step.number)
        if start:
            start.add_done_callback(self._discard)

    def _pop(self, number: int) -> Future[StartedContainer | None] | None:
        with self._lock:
            self._over.add(number)
            return self._starts.pop(number, None)

    def _discard(self, start: Future[StartedContainer | None]) -> None:
        # An error of the start is not reported: the step does not run.
        with suppress(StepError, OSError):
            if started := start.result():
                step_container.discard(self._job, started)

    def close(self) -> None:
        """Removes all containers that no step has taken."""
        with self._lock:
            self._closed = True
            left, self._starts = list(self._starts.values()), {}
        for start in left:
            start.add_done_callback(self._discard)
        self._pool.shutdown()


def is_prestartable(step: CommandsStep) -> bool:
    """True if the step's container can wait at a gate, and is the same whenever it is started."""
    # What an earlier step keeps in a cache, and the key of it, are known only at the step's turn.
    is_same = not step.caches and not _takes_from_host(step.container)
    return step_container.has_gate(step) and not step.detach and is_same


def _takes_from_host(container: Container) -> bool:
    """True if the container has devices or folders of the host, or the network of something else in the engine.

    An earlier step that has the engine's socket or a folder of the host may make or replace them; what a privileged
    container has under /dev is what the host has then. The content of named volumes is shared at any time.
    """
    folders = any(volume.startswith("/") and ":" in volume for volume in container.volumes)
    devices = container.privileged or bool(container.devices)
    return folders or devices or container.network_mode not in _FIXED_NETWORKS
