"""The key ``concurrency`` of a workflow."""

from typing import Annotated

from pydantic import AfterValidator

from pipelines.model.base import PipelineModel
from pipelines.model.fields import Before, Flag, Text, Whole, fail
from pipelines.model.json_types import Also
from pipelines.syntax.nodes import ScalarNode


def _at_least_one(value: int) -> int:
    if value < 1:
        fail("at least one must be able to run", "write 1 or more")
    return value


class Concurrency(PipelineModel):
    """How many jobs of a group may run at the same time."""

    limit: Annotated[Whole, AfterValidator(_at_least_one)] = 1
    group: Text = ""
    cancel: Flag = False


def _short(value: object) -> object:
    return {"limit": value} if isinstance(value, ScalarNode) else value


ConcurrencyField = Annotated[Concurrency, Before(_short), Also({"type": "integer", "minimum": 1})]
"""A limit, or a map."""
