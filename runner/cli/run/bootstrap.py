"""The start of ``headway run``: connects to the engine and creates a network while Python loads the other modules."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from threading import Lock
from uuid import uuid4

from pipelines.parser.discovery import DRONE_FILES, FOLDERS
from runner.cleanup.leftovers import JobLeftovers, find_leftovers, remove_leftovers
from runner.cli.run.cleanup_process import CleanupProcess
from runner.docker.client import Engine
from runner.docker.endpoints.resolution import find_endpoint, pinned_context
from runner.docker.job_network import JobNetwork
from runner.errors import StepError
from runner.threads import in_background, wait_for


class RunBootstrap:
    """The connection to the engine and the first job's network, which a background thread creates.

    A cleanup process removes everything that is created for jobs, however this process ends.
    """

    def __init__(self, folder: Path) -> None:
        """Without a pipeline file in ``folder`` no step runs in a container, so no network is created in advance."""
        self._run = f"local-{uuid4().hex[:12]}"
        variables: dict[str, str] = {}
        with suppress(StepError):  # the first request to the engine raises the same error
            variables = pinned_context(os.environ)
        self._cleanup = CleanupProcess(variables)
        self._jobs, self._lock = 0, Lock()
        self._engine = Engine(connect=False)
        self._first_network = JobNetwork(self._engine, self._job(1).key, 1)
        self._started = in_background(self._start) if _has_pipeline_file(folder) else None

    def _start(self) -> None:
        self._engine.ping()
        self._cleanup.watch(self._job(1))
        self._first_network.prestart()

    def _job(self, number: int) -> JobLeftovers:
        key = f"{self._run}-{number}"
        return JobLeftovers(key, Path(gettempdir(), f"headway-{key}"))

    @property
    def docker_host(self) -> str:
        """The engine's address, found without a request to it. Raises MachineError if the address is wrong."""
        return str(find_endpoint(os.environ).address)

    def engine(self) -> Engine:
        """The engine. Raises MachineError if the background thread could not reach it."""
        if self._started:
            self._started.result()
        return self._engine

    def next_job(self) -> tuple[JobLeftovers, JobNetwork]:
        """The key, folder and network for one more job. Jobs of several threads may ask at once."""
        with self._lock:
            self._jobs += 1
            number = self._jobs
        job, first = self._job(number), number == 1
        if not (first and self._started):
            self._cleanup.watch(job)
        return job, self._first_network if first else JobNetwork(self._engine, job.key, 1)

    def close(self) -> None:
        """Ends the cleanup process once it has removed all that is left, and the connections to the engine.

        Without this, the end of the process does so.
        """
        if self._started:
            wait_for(self._started)
        self._first_network.wait_for_pending()
        self._cleanup.close()
        self._engine.close()

    def clean_up(self, job: JobLeftovers) -> None:
        """Lets the cleanup process remove everything of a job that has ended. Raises StepError."""
        if not self._cleanup.clean_up(job):
            errors = remove_leftovers(self._engine, find_leftovers(self._engine, job))
            if errors:
                raise errors[0]

    def keep(self, job: JobLeftovers, record: Path, until_s: float) -> None:
        """Leaves a job as it is, until its record is too old (``CleanupProcess.keep``). Raises OSError."""
        if not self._cleanup.keep(job, record, until_s):
            raise OSError("the cleanup process of this run has ended")


def _has_pipeline_file(folder: Path) -> bool:
    return any(next(folder.glob(f"{name}*"), None) for name in (*FOLDERS, *DRONE_FILES))
