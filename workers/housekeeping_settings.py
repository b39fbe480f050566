"""The settings of housekeeping: what is removed by its age and number, and what makes room on a machine's disk."""

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from workers import setting_checks as checks
from workers import setting_kinds as kinds
from workers.retention_policy import DELIVERIES_KEPT, RUNS_KEPT, RetentionPolicy


class HousekeepingSettings(BaseSettings):
    """A part of the server's settings."""

    audit_days: kinds.Days = Field(
        365,
        ge=0,
        description="Days after which an entry of the audit log is deleted. 0: never, up to a million entries.",
    )
    retention_days: kinds.Days = Field(
        90, ge=0, description="Days after which the logs of a finished run are deleted. 0: never."
    )
    run_retention_days: kinds.Days = Field(
        365,
        ge=0,
        description="Days after which a finished run is removed, with its jobs, steps and logs "
        f"([housekeeping](housekeeping.md)). The newest {RUNS_KEPT} of each repository stay. 0: never.",
    )
    run_retention_count: kinds.Count = Field(
        100_000,
        ge=0,
        description="How many finished runs of a repository are kept; older ones are removed. 0: any number, "
        f"else {RUNS_KEPT} at least.",
    )
    delivery_retention_days: kinds.Days = Field(
        90,
        ge=0,
        description="Days after which a webhook's delivery is forgotten. One that is sent again later counts as a new "
        "one. 0: never.",
    )
    delivery_retention_count: kinds.Count = Field(
        10_000,
        ge=0,
        description="How many deliveries of a repository are kept; older ones are removed. 0: any number, "
        f"else {DELIVERIES_KEPT} at least.",
    )
    sent_tree_days: kinds.Days = Field(
        7,
        ge=1,
        description="Days after which a working tree that `headway run --remote` has sent is removed: its run cannot "
        "be repeated after that.",
    )

    disk_high_percent: kinds.Percent = Field(
        85,
        ge=1,
        description="When the disk is fuller than this, a worker removes mirrors and images that were not used for an "
        "hour, the least recently used first ([housekeeping](housekeeping.md#what-makes-room-on-a-disk)).",
    )
    disk_low_percent: kinds.Percent = Field(
        75,
        ge=0,
        description="A worker that makes room on the disk stops when it is no fuller than this, or one percent "
        "below `disk_high_percent` if this is not less.",
    )
    mirror_bytes_max: kinds.Bytes = Field(
        20 * 1024**3, ge=0, description="Bytes of mirrors that a machine keeps. 0: any number."
    )
    image_bytes_max: kinds.Bytes = Field(
        40 * 1024**3,
        ge=0,
        description="Bytes of images that a machine keeps of those that Headway has pulled. 0: any number.",
    )
    cache_bytes_max: kinds.Bytes = Field(
        20 * 1024**3,
        ge=0,
        description="Bytes of steps' caches that a machine keeps ([caches](../using/caches.md)). 0: any number.",
    )
    shared_cache_bytes_max: kinds.Bytes = Field(
        0,
        ge=0,
        description="Bytes of copies of caches in the blob store, which workers on several machines share "
        "([caches](../using/caches.md#several-machines)). 0: none is shared.",
    )
    build_cache_bytes_max: kinds.Bytes = Field(
        0,
        ge=0,
        description="Bytes of build cache that an engine keeps, other people's builds included. 0: the engine's own "
        "limit.",
    )

    keep_failed_h: kinds.Hours = Field(
        0,
        ge=0,
        description="Hours for which a worker keeps the files of a failed job, so that a re-run can "
        "[go on from the step that failed](../using/reruns.md#from-the-failed-step). 0: they are removed at once.",
    )
    keep_failed_bytes_max: kinds.Bytes = Field(
        10 * 1024**3,
        ge=0,
        description="Bytes of failed jobs' files that a machine keeps; the oldest go first.",
    )

    @field_validator("run_retention_count")
    @classmethod
    def _enough_runs(cls, value: int) -> int:
        return checks.nothing_or_at_least(value, RUNS_KEPT)

    @field_validator("delivery_retention_count")
    @classmethod
    def _enough_deliveries(cls, value: int) -> int:
        return checks.nothing_or_at_least(value, DELIVERIES_KEPT)

    @property
    def disk_marks(self) -> tuple[int, int]:
        """How full a disk is, in percent, when cleaning starts and when it stops."""
        return self.disk_high_percent, min(self.disk_low_percent, self.disk_high_percent - 1)

    @property
    def retention(self) -> RetentionPolicy:
        """The server's limits."""
        return RetentionPolicy(
            log_days=self.retention_days,
            run_days=self.run_retention_days,
            run_count=self.run_retention_count,
            delivery_days=self.delivery_retention_days,
            delivery_count=self.delivery_retention_count,
        )
