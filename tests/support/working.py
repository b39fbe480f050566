"""A worker's whole way for one push, for tests: claim, mirror, plan, container, masking, log store, rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.builders import push
from tests.support.repos import Repo
from workers import store
from workers.db.models import Run, Step
from workers.db.session import reading, transaction
from workers.jobs.job_task import Tools, work
from workers.jobs.process import make_tools
from workers.logs import DiskLogs, LogReader
from workers.secrets.vault import secret_place
from workers.settings import Settings


@dataclass(frozen=True)
class Done:
    """A run that has ended. Its step numbers count from 1."""

    run: Run
    steps: list[Step]
    tools: Tools

    @contextmanager
    def log(self, number: int = 1) -> Iterator[LogReader]:
        """A step's stored log."""
        step = self.steps[number - 1]
        with self.tools.logs.open(self.run.id, step.job_id, step.number, step.attempt) as reader:
            yield reader


class Hand:
    """A worker that takes one push after the other. Its logs may live in a folder of their own."""

    def __init__(self, settings: Settings, folder: Path, logs: Path | None = None) -> None:
        tools = make_tools(settings)
        self.tools = replace(tools, logs=DiskLogs(logs)) if logs else tools
        self._repo = Repo(folder / "origin.git")
        with transaction(tools.database) as session:
            self._repo_id = store.add_repo(session, store.NewRepo("acme/roof", self._repo.url)).id

    def secret(self, name: str, value: str) -> None:
        """Gives the repository a secret."""
        with transaction(self.tools.database) as session:
            sealed = self.tools.vault.seal(secret_place(self._repo_id, name), value)
            store.put_secret(session, self._repo_id, name, sealed)

    def runs(self, pipeline: str, files: Mapping[str, str | bytes] | None = None) -> Done:
        """Works on a push of this pipeline file until it has ended."""
        sha = self._repo.commit({".headway.yml": pipeline, **(files or {})})
        with transaction(self.tools.database) as session:
            queued = store.queue_run(session, self._repo_id, push(sha=sha))
        work(self.tools, queued.job_id)
        with reading(self.tools.database) as session:
            run = store.run_by_id(session, queued.run_id)
            assert run is not None
            return Done(run, list(store.steps_of_run(session, queued.run_id)), self.tools)

    def close(self) -> None:
        """Lets go of everything."""
        self.tools.database.dispose()
        self.tools.engine().close()
