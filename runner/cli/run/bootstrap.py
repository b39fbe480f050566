"""What ``headway run`` begins before the rest of it is loaded: while the engine makes a network, Python loads us."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

from pipelines.parser.discovery import FOLDERS
from runner.cleanup.leftovers import Leavings, remove
from runner.cli.run.cleanup_process import Guard
from runner.docker.client import Engine
from runner.docker.endpoints.resolution import find_endpoint, pinned_context
from runner.docker.job_network import Sandboxes
from runner.errors import StepError
from runner.threads import in_background


class Begun:
    """A connection to the engine, and the first job's sandboxes, on their way in a thread of their own.

    All that is made for jobs is removed by a guard, however this process ends.
    """

    def __init__(self, folder: Path) -> None:
        """Without a pipeline file no step will run in a container: no sandbox is begun, and the engine has time."""
        self._run = f"local-{uuid4().hex[:12]}"
        variables: dict[str, str] = {}
        with suppress(StepError):  # the engine, when it is asked, raises the same
            variables = pinned_context(os.environ)
        self._guard = Guard(variables)
        self._jobs = 0
        self._engine = Engine(connect=False)
        self._first = Sandboxes(self._engine, self._leavings(1).key, 1)
        self._begun = in_background(self._begin) if _has_pipeline_file(folder) else None

    def _begin(self) -> None:
        self._engine.ping()
        self._guard.watch(self._leavings(1))
        self._first.prepare()

    def _leavings(self, number: int) -> Leavings:
        key = f"{self._run}-{number}"
        return Leavings(key, Path(gettempdir(), f"headway-{key}"))

    @property
    def docker_host(self) -> str:
        """The engine's address, before it has been asked for anything. Raises MachineError where none is meant."""
        return str(find_endpoint(os.environ).address)

    def engine(self) -> Engine:
        """The engine. Raises MachineError where it was asked already, and does not answer."""
        if self._begun:
            self._begun.result()
        return self._engine

    def next_job(self) -> tuple[Leavings, Sandboxes]:
        """A name, a folder and sandboxes for one more job."""
        self._jobs += 1
        left, first = self._leavings(self._jobs), self._jobs == 1
        if not (first and self._begun):
            self._guard.watch(left)
        return left, self._first if first else Sandboxes(self._engine, left.key, 1)

    def hand_over(self, left: Leavings) -> None:
        """The job has ended: what it left goes while the run goes on, or has ended."""
        if not self._guard.hand_over(left):
            remove(self._engine, left)


def _has_pipeline_file(folder: Path) -> bool:
    return any(next(folder.glob(f"{name}*"), None) for name in FOLDERS)
