"""What a job is given on this machine: its folder, its secrets, its way to other hosts."""

from collections.abc import Mapping
from pathlib import Path

from runner.network.egress import EgressSettings
from workers.access.credentials import JobSecrets, fingerprint_of, job_secrets
from workers.jobs.context import ClaimedJob, WorkerContext
from workers.jobs.leftovers import job_key
from workers.store.jobs.leases import Claim


def secrets_of(context: WorkerContext, job: ClaimedJob) -> JobSecrets:
    """The secrets that the job may use. Raises StepError."""
    return job_secrets(context.database, context.vault, job.repo_id, job.trigger.event, job.allowed)


def egress_of(context: WorkerContext, job: ClaimedJob) -> EgressSettings:
    """How the job reaches other hosts."""
    return context.egress if job.allowed.proxy_logins else context.egress.without_logins()


def fingerprint(context: WorkerContext, job: ClaimedJob, secrets: Mapping[str, str]) -> str:
    """Stands for what is masked in the job's output."""
    return fingerprint_of(context.vault, [*secrets.values(), *egress_of(context, job).secrets()])


def folder_of(context: WorkerContext, claim: Claim) -> Path:
    """The folder of this attempt at the job, and of those that it goes on with."""
    return context.settings.workspaces_dir / f"{job_key(context.installation, claim.key)}-{claim.origin}"
