"""A worker that runs pushes from end to end, for tests: claim, mirror, plan, container, masking, log store, rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.builders import pull_request, push
from tests.support.logs import folder_logs
from tests.support.repos import Repo
from workers import store
from workers.access.trust import PipelineFrom, UntrustedRuns
from workers.db.models import Run, Step
from workers.db.session import reading, transaction
from workers.jobs.context import WorkerContext
from workers.jobs.job_task import work
from workers.jobs.process.connections import make_context
from workers.logs import LogReader
from workers.secrets.vault import secret_place
from workers.settings import Settings


@dataclass(frozen=True)
class FinishedRun:
    """A finished run. Step numbers count from 1."""

    run: Run
    steps: list[Step]
    context: WorkerContext

    @contextmanager
    def log(self, number: int = 1) -> Iterator[LogReader]:
        """A step's stored log."""
        step = self.steps[number - 1]
        with self.context.logs.open(self.run.id, step.job_id, step.number, step.attempt) as reader:
            yield reader


class PushWorker:
    """A worker that runs one push after the other. Its logs may be in a folder of their own."""

    def __init__(self, settings: Settings, folder: Path, logs: Path | None = None) -> None:
        context = make_context(settings)
        self.context = replace(context, logs=folder_logs(context.database, logs)) if logs else context
        self._repo = Repo(folder / "origin.git")
        with transaction(context.database) as session:
            self._repo_id = store.add_repo(session, store.NewRepo("acme/roof", self._repo.url)).id

    def secret(self, name: str, value: str) -> None:
        """Gives the repository a secret."""
        with transaction(self.context.database) as session:
            sealed = self.context.vault.seal(secret_place(self._repo_id, name), value)
            store.put_secret(session, self._repo_id, name, sealed)

    def runs(
        self, pipeline: str, files: Mapping[str, str | bytes] | None = None, disk_patience_s: float = 5,
        *, from_fork: bool = False,
    ) -> FinishedRun:  # fmt: skip
        """Pushes this pipeline file, and runs the push, or a fork's pull request, to its end."""
        sha = self._repo.commit({".headway.yml": pipeline, **(files or {})})
        trigger = pull_request(from_fork=True).model_copy(update={"sha": sha}) if from_fork else push(sha=sha)
        with transaction(self.context.database) as session:
            if from_fork:
                store.set_untrusted_runs(session, self._repo_id, UntrustedRuns.RUN.value, PipelineFrom.COMMIT.value)
            queued = store.queue_run(session, self._repo_id, trigger)
        work(self.context, queued.job_id, disk_patience_s)
        with reading(self.context.database) as session:
            run = store.run_by_id(session, queued.run_id)
            assert run is not None
            return FinishedRun(run, list(store.steps_of_run(session, queued.run_id)), self.context)

    def close(self) -> None:
        """Closes the connections."""
        self.context.database.dispose()
        self.context.engine().close()
