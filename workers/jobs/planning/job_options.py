"""The server's limits for a job, from its settings, and which of its steps do not run."""

from collections.abc import Mapping

from pipelines.state import Outcome
from runner.artifacts.files import ArtifactLimits
from runner.docker.containers.specs import Limits
from runner.execution.job.options import Options
from runner.logs.output import never_low
from workers.artifacts.storage import RunLimits
from workers.db.models import Step
from workers.settings import Settings


def options(settings: Settings) -> Options:
    """The server's limits for one job."""
    limits = Limits(
        settings.step_memory_bytes_max,
        settings.step_cpus_max,
        settings.step_pids_max,
        settings.step_files_max,
    )
    return Options(
        limits=limits,
        log_bytes_max=settings.log_bytes_max,
        artifacts=ArtifactLimits(settings.artifact_bytes_max, settings.artifact_files_max),
        step_timeout_s=settings.step_timeout_s,
        job_timeout_s=settings.job_timeout_s,
        grace_s=settings.grace_s,
        registry_retry_s=settings.registry_retry_s,
        steps_ahead_max=settings.steps_ahead_max,
        disk_low=settings.disk_reserve.is_low,
        image_records=settings.image_records_dir,
    )


def run_limits(settings: Settings) -> RunLimits:
    """What all steps of a run may keep as artifacts. With a folder for blobs, its disk must have room, too."""
    low = settings.disk_reserve.is_low if settings.blobs_dir is not None else never_low
    return RunLimits(settings.artifact_run_bytes_max, settings.artifact_run_files_max, low)


def carried_steps(steps: Mapping[int, Step]) -> dict[int, Outcome]:
    """How those of the steps ended that ran in an earlier run, and do not run in this one."""
    return {
        number: Outcome(step.state, step.reason, step.message, step.exit_code)
        for number, step in steps.items()
        if step.carried_from is not None
    }
