"""Where a job keeps artifacts and caches, and which of them it may use."""

from runner.caches.job_caches import CacheAccess
from workers.access.caches import caches_for
from workers.artifacts.storage import StoredArtifacts
from workers.caches.shared import SharedCacheStorage
from workers.jobs.context import ClaimedJob, WorkerContext
from workers.jobs.planning.job_options import run_limits


def artifacts_of(context: WorkerContext, job: ClaimedJob) -> StoredArtifacts:
    """What keeps the job's artifacts."""
    return StoredArtifacts(context.database, context.blobs, job.claim, job.repo_id, run_limits(context.settings))


def caches_of(context: WorkerContext, job: ClaimedJob) -> CacheAccess:
    """The caches of the job's repository on this machine, and the copies that machines share."""
    settings, shared = context.settings, None
    if settings.shared_cache_bytes_max:
        shared = SharedCacheStorage(
            context.database, context.blobs, artifacts_of(context, job), job.repo_id, settings.shared_cache_bytes_max
        )
    return caches_for(context.vault, settings, (job.repo_id, job.run.repo_key), job.allowed, shared)
