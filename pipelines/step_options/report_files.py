"""Which files of a step are its reports, as the plan says it."""

from pydantic import BaseModel, ConfigDict


class Reports(BaseModel):
    """Report files of a step: patterns as those of artifacts, of results of tests and of coverage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    junit: tuple[str, ...] = ()
    coverage: tuple[str, ...] = ()
