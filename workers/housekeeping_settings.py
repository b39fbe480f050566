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
        description="So many finished runs of a repository are kept; older ones are removed. 0: any number, "
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
        description="So many deliveries of a repository are kept; older ones are removed. 0: any number, "
        f"else {DELIVERIES_KEPT} at least.",
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
    def retention(self) -> RetentionPolicy:
        """The server's limits."""
        return RetentionPolicy(
            log_days=self.retention_days,
            run_days=self.run_retention_days,
            run_count=self.run_retention_count,
            delivery_days=self.delivery_retention_days,
            delivery_count=self.delivery_retention_count,
        )
