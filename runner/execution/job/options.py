"""Limits and settings for all steps of a job."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.plan import JOB_TIMEOUT_S, STEP_TIMEOUT_S
from runner.artifacts.files import ArtifactLimits
from runner.docker.containers.specs import Limits
from runner.images.retry import RETRY_S
from runner.logs.output import never_low, no_disk_problem
from runner.report_results import ReportLimits


@dataclass(frozen=True)
class Options:
    """Limits and settings for all steps of a job. Without ``push`` the log only shows what would be pushed.

    While ``disk_low``, little output of steps is kept. ``disk_problem`` says why the job must end because it has filled
    the disk, once what it wrote is gone; it is empty while the job may go on. ``image_records`` is the folder in which
    pulled images are recorded, so that unused ones can be removed; without it none are.
    """

    limits: Limits = field(default_factory=Limits)
    log_bytes_max: int = 1024**3
    artifacts: ArtifactLimits = field(default_factory=ArtifactLimits)
    reports: ReportLimits = field(default_factory=ReportLimits)
    step_timeout_s: float = STEP_TIMEOUT_S
    job_timeout_s: float = JOB_TIMEOUT_S
    grace_s: float = 10
    parallel_steps_max: int = 4
    steps_ahead_max: int = 4
    pulls_at_once_max: int = 3
    address_wait_s: float = 60
    registry_retry_s: float = RETRY_S
    push: bool = True
    image_records: Path | None = None
    disk_low: Callable[[], bool] = never_low
    disk_problem: Callable[[], str] = no_disk_problem


DEFAULT_OPTIONS = Options()
