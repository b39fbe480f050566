"""Insights of a branch, as JSON."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from web.json_api import make_router
from web.operations.repos.insights import insights
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


class _Schema(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class TestName(_Schema):
    """What identifies a test."""

    __test__ = False

    suite: str
    class_name: str = Field(validation_alias="group")
    name: str


class StepInsightSchema(_Schema):
    """A step over the runs."""

    workflow: str
    name: str
    runs: int
    failed: int
    median_ms: int


class TestInsightSchema(_Schema):
    """A test over the runs: in how many it failed and was flaky, and how long it usually took."""

    __test__ = False

    test: TestName
    failed: int
    flaky: int
    median_ms: int


class InsightsSchema(_Schema):
    """The insights of a branch. Canceled runs and those without steps are not counted."""

    branch: str
    counted: int = Field(description="How many runs count, at most 100.")
    passed: int
    median_ms: int | None = Field(description="How long a run usually takes that passes.")
    slow_ms: int | None = Field(description="95 of 100 such runs are faster.")
    green_after_ms: int | None = Field(description="How long the branch usually stays red.")
    slowest_steps: list[StepInsightSchema]
    failing_steps: list[StepInsightSchema]
    flaky_tests: list[TestInsightSchema]
    slowest_tests: list[TestInsightSchema]


@router.get("/repos/{name:path}/insights")
def get_insights(
    services: ServicesDep, user: CurrentUser, name: str, branch: Annotated[str, Query(max_length=1000)] = ""
) -> InsightsSchema:
    """How often and how fast the runs of a branch pass, and what makes them slow or unreliable."""
    return InsightsSchema.model_validate(insights(services, user, name, branch))
