"""The models of fragments: what an item of ``steps`` says that includes one, and what the file itself declares."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipelines.model.base import PipelineModel
from pipelines.model.fields import Text
from pipelines.model.inputs import Inputs
from pipelines.model.json_types import SCALAR, Written


class FragmentHead(PipelineModel):
    """What a fragment declares. Its steps and services become a part of the workflow that includes it."""

    wanted: ClassVar[str] = "a map with 'steps'"

    inputs: Inputs = Field(default_factory=dict)


_With = Annotated[object, Written({"type": "object", "additionalProperties": SCALAR})]


class OtherRepository(PipelineModel):
    """Where a fragment of another repository is."""

    repo: Text
    sha: Text
    path: Text
    with_: _With = Field(default=None, alias="with")


class Include(PipelineModel):
    """An item of ``steps`` in whose place the steps of a fragment are put."""

    include: Text | OtherRepository
    with_: _With = Field(default=None, alias="with")


FRAGMENT_KEYS = ("inputs", "services", "steps", "variables", "$schema")
INCLUDE_KEYS = ("include", "with")
