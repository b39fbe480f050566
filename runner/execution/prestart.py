"""Starts the containers of the next steps while the present ones run; they wait at their gate (see shell.py).

A step's own time is then what its commands take: making and starting a container costs the run nothing. A step can not
tell: its script, late variables and folder come through the gate when it is its turn, and the checkout is a mount.
"""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Lock

from pipelines.plan import BuiltImage, CommandsStep, Step
from runner.errors import StepError
from runner.execution import step_container
from runner.execution.job import Job
from runner.execution.memory import available_bytes
from runner.execution.step_container import Started

STARTS_AT_ONCE_MAX = 2
MEMORY_BYTES_MIN = 512 * 1024**2
"""Where the machine has less memory left than this, nothing is started before its turn."""


class Ahead:
    """The containers of one job that were started before their turn."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pool = ThreadPoolExecutor(STARTS_AT_ONCE_MAX, "ahead")
        self._lock = Lock()
        self._starts: dict[int, Future[Started | None]] = {}
        self._over: set[int] = set()
        self._closed = False

    def look(self, waiting: Iterable[Step]) -> None:
        """Starts what of the steps that wait comes next: at once, or as soon as its image is here."""
        if self._job.cancel:
            return
        wanted = [step for step in waiting if self._will_run(step)][: self._job.options.steps_ahead_max]
        for step in wanted:
            if isinstance(step, CommandsStep) and self._can_start(step) and not self._is_started(step):
                self._begin(step)

    def _will_run(self, step: Step) -> bool:
        return step.on_failure if self._job.failed else step.on_success

    def _is_started(self, step: CommandsStep) -> bool:
        """False also where there was no image, or no memory, when it was tried."""
        start = self._starts.get(step.number)
        return start is not None and not (start.done() and start.exception() is None and start.result() is None)

    def _can_start(self, step: CommandsStep) -> bool:
        return step_container.has_gate(step) and not step.detach and not step_container.own_network(step.container)

    def _begin(self, step: CommandsStep) -> None:
        image = step.container.image
        if not isinstance(image, BuiltImage):
            self._job.images.when_here(self._job.wanted.steps[step.number], partial(self._submit, step))
        elif image.step in self._job.built:
            self._submit(step, self._job.built[image.step])

    def _submit(self, step: CommandsStep, image_id: str) -> None:
        """Starts a step, unless its turn has come before its image."""
        with self._lock:
            if not self._closed and step.number not in self._over and not self._is_started(step):
                self._starts[step.number] = self._pool.submit(self._start, step, image_id)

    def _start(self, step: CommandsStep, image_id: str) -> Started | None:
        if self._job.engine.image(image_id) is None or available_bytes() < MEMORY_BYTES_MIN:
            return None
        return step_container.start(self._job, step, image_id)

    def take(self, step: Step) -> Started | None:
        """The step's container, if it was started. Raises what went wrong in starting it: now it is its turn."""
        start = self._pop(step.number)
        return start.result() if start else None

    def drop(self, step: Step) -> None:
        """The step's turn will not come."""
        start = self._pop(step.number)
        if start:
            start.add_done_callback(self._discard)

    def _pop(self, number: int) -> Future[Started | None] | None:
        with self._lock:
            self._over.add(number)
            return self._starts.pop(number, None)

    def _discard(self, start: Future[Started | None]) -> None:
        # Whatever went wrong in starting it: the step that would tell is not run.
        with suppress(StepError, OSError):
            if started := start.result():
                step_container.discard(self._job, started)

    def close(self) -> None:
        """Takes away what was started and not taken."""
        with self._lock:
            self._closed = True
            left, self._starts = list(self._starts.values()), {}
        for start in left:
            start.add_done_callback(self._discard)
        self._pool.shutdown()
