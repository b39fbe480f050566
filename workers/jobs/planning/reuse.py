"""Results of earlier runs for one job: found in rows, and made those of its steps."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine

from pipelines.plan import CommandsStep, JobPlan
from runner.artifacts.files import KeptFile
from runner.errors import StepError
from runner.reuse.records import Record, ReuseAccess, unchanged
from runner.reuse.sources import SourceTree, TreeEntry, UnknownSourcesError, entries_of
from runner.source.mirrors.mirror import Mirror
from workers.access.reuse import may_keep_results, may_take_results
from workers.artifacts.storage import PROGRAM, blob_name
from workers.blobs import BlobStore, StoredBlob
from workers.db.session import persist, reading
from workers.jobs.context import ClaimedJob, WorkerContext
from workers.store.jobs.leases import Claim
from workers.store.reruns import reused_steps
from workers.store.reruns.reused_steps import FoundResult, NewResult


def reuse_for(context: WorkerContext, job: ClaimedJob, plan: JobPlan, mirror: Mirror) -> ReuseAccess | None:
    """What the job may use of earlier results; None if its trust allows nothing of it."""
    if not may_take_results(job.allowed, plan.checkout):
        return None
    key = context.vault.name_for(f"reuse/{job.repo_id}/{job.run.repo_key}").encode()
    records = StoredRecords(context.database, context.blobs, job.claim, job.repo_id, plan)
    tree = SourceTree(partial(_entries, mirror, job.trigger.sha))
    takes, keeps = not job.trigger.no_reuse, may_keep_results(job.allowed)
    return ReuseAccess(records, tree, partial(_keyed, key), takes=takes, keeps=keeps)


def _entries(mirror: Mirror, sha: str) -> list[TreeEntry]:
    try:
        return entries_of(mirror.tree(sha))
    except (StepError, OSError) as error:
        raise UnknownSourcesError(f"git cannot list the files of the commit: {error}") from None


def _keyed(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(errors="surrogatepass"), "sha256").hexdigest()


@dataclass(frozen=True)
class StoredRecords:
    """See ``ReuseRecords``. Calls that write raise StaleAttemptError once the job belongs to another attempt."""

    database: Engine
    blobs: BlobStore
    claim: Claim
    repo_id: int
    plan: JobPlan

    def find(self, step: CommandsStep, key: str) -> Record | None:  # noqa: ARG002 - the key says which step
        """See ``ReuseRecords``."""
        with reading(self.database) as session:
            found = reused_steps.result_with_key(session, self.repo_id, key)
            return _record(found) if found else None

    def latest(self, step: CommandsStep) -> Record | None:
        """See ``ReuseRecords``."""
        with reading(self.database) as session:
            found = reused_steps.latest_result(session, self.repo_id, self._title(step))
            return _record(found) if found else None

    def take(self, step: CommandsStep, record: Record) -> bool:  # noqa: ARG002 - the record says which step
        """See ``ReuseRecords``."""
        job_id, attempt, record_id = self.claim.job_id, self.claim.attempt, int(record.address)
        take = partial(
            reused_steps.take_result, job_id=job_id, attempt=attempt, record_id=record_id, message=unchanged(record)
        )
        return persist(self.database, take)

    def keep(self, step: CommandsStep, key: str, parts: Mapping[str, str], seconds: float) -> None:
        """See ``ReuseRecords``."""
        new = NewResult(step.number, key, self._title(step), parts, round(seconds * 1000))
        job_id, attempt = self.claim.job_id, self.claim.attempt
        keep = partial(reused_steps.keep_result, repo_id=self.repo_id, job_id=job_id, attempt=attempt, new=new)
        persist(self.database, keep)

    def read(self, file: KeptFile) -> Iterator[bytes]:
        """See ``ReuseRecords``."""
        return self.blobs.get(blob_name(file.key), StoredBlob(file.size_bytes, file.sha256))

    def _title(self, step: CommandsStep) -> str:
        text = json.dumps([self.plan.name, self.plan.cell, step.name], sort_keys=True)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _record(found: FoundResult) -> Record:
    row = found.record
    files = (
        KeptFile(each.path, each.size_bytes, each.mode == PROGRAM, each.sha256, each.blob_key)
        for each in found.artifacts
    )
    since, seconds = f"run {found.run_number}", row.duration_ms / 1000
    return Record(since, seconds, row.parts, tuple(files), address=row.id)
