"""Log stores for tests, with the rows that they need."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, update

from pipelines.state import State
from pipelines.trigger import Event
from workers.blobs import BlobStore, LocalBlobs
from workers.db.models import Job, Repo, Run
from workers.db.session import transaction
from workers.logs import LogReader, LogStore, LogWriter, SegmentLogs
from workers.logs.pace import FOLDER_PACE, Pace

Place = tuple[int, int, int, int]


def folder_logs(database: Engine, folder: Path) -> SegmentLogs:
    """A log store in ``folder``, as an installation of one machine has it."""
    return SegmentLogs(database, LocalBlobs(folder / "blobs"), FOLDER_PACE, folder / "spool", folder / "logs")


def running_job(database: Engine, run_id: int, job_id: int, attempt: int) -> None:
    """A job with this number is running in this attempt; its rows are made where they are missing."""
    with transaction(database) as session:
        if session.get(Repo, 1) is None:
            session.add(Repo(id=1, name="acme/roof", clone_url="file:///roof", created_ms=0))
            session.flush()
        if session.get(Run, run_id) is None:
            session.add(
                Run(
                    id=run_id, repo_id=1, number=run_id, trigger="{}", event=Event.PUSH, ref="", branch="", sha="",
                    title="", message="", author="", created_ms=0,
                )
            )  # fmt: skip
            session.flush()
        if session.get(Job, job_id) is None:
            session.add(Job(id=job_id, run_id=run_id, number=job_id, created_ms=0, key=f"{job_id:016x}"))
            session.flush()
        session.execute(update(Job).where(Job.id == job_id).values(attempt=attempt, state=State.RUNNING))


@dataclass
class LogsFixture:
    """A log store whose jobs run when their logs are written."""

    database: Engine
    store: LogStore
    blobs: BlobStore

    @property
    def flush_after_ms(self) -> int:
        """See ``LogStore``."""
        return self.store.flush_after_ms

    def writer(self, run_id: int, job_id: int, step_number: int, attempt: int) -> LogWriter:
        """A writer for a job that is running."""
        running_job(self.database, run_id, job_id, attempt)
        return self.store.writer(run_id, job_id, step_number, attempt)

    def open(self, run_id: int, job_id: int, step_number: int, attempt: int) -> LogReader:
        """See ``LogStore``."""
        return self.store.open(run_id, job_id, step_number, attempt)

    def delete_run(self, run_id: int) -> None:
        """See ``LogStore``."""
        self.store.delete_run(run_id)

    def delete_marked(self) -> int:
        """See ``LogStore``."""
        return self.store.delete_marked()


def logs_fixture(
    database: Engine, folder: Path, blobs: BlobStore | None = None, pace: Pace = FOLDER_PACE
) -> LogsFixture:  # fmt: skip
    """A log store on ``database``, in ``folder`` unless there are other ``blobs``."""
    blobs = blobs or LocalBlobs(folder / "blobs")
    return LogsFixture(database, SegmentLogs(database, blobs, pace, folder / "spool", folder / "logs"), blobs)
