"""The models of ``compose``: what a step says that runs a Compose project, and what its services become."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from pipelines.model.base import PipelineModel
from pipelines.model.fields import Before, Environment, Flag, Items, Text, Texts, Whole, fail, fields_of
from pipelines.model.json_types import SCALAR, Also, Written
from pipelines.syntax.nodes import ListNode, ScalarNode

_IMAGE: dict[str, Any] = {
    "anyOf": [
        SCALAR,
        {
            "type": "object",
            "properties": {"name": SCALAR, "build": SCALAR},
            "additionalProperties": False,
        },
    ]
}


def _file_alone(value: object) -> object:
    return {"file": value} if isinstance(value, ScalarNode) else value


def _one_file(value: object) -> object:
    if isinstance(value, ListNode):
        fail("a Compose step reads one file, and here is a list", "make a step of each, or one file of them")
    return value


_Images = Annotated[
    dict[str, object],
    Before(fields_of),
    Written({"type": "object", "additionalProperties": _IMAGE}),
]


class Compose(PipelineModel):
    """A Compose file, and which of its services runs to its end."""

    wanted: ClassVar[str] = "the path of a Compose file, or {file: PATH, service: NAME},"
    remedy: ClassVar[str] = "write for example compose: docker-compose.test.yml"

    file: Annotated[Text, Before(_one_file)]
    service: Text = ""
    command: Annotated[object, Written({"anyOf": [SCALAR, {"type": "array", "items": SCALAR}]})] = None
    profiles: Texts = ()
    images: _Images = Field(default_factory=dict)


ComposeField = Annotated[Compose, Before(_file_alone), Also(SCALAR)]


class ComposeHead(PipelineModel):
    """What a step says of its Compose project. Its other keys are those of the steps that it becomes."""

    compose: ComposeField
    name: Text = ""
    environment: Environment = Field(default_factory=dict)
    detach: Flag = False


class ComposeVolume(PipelineModel):
    """A folder of the job that services share; see ``JobVolume``."""

    name: Text
    path: Text
    read_only: Flag = False
    checkout: Text = ""


class ComposeHealth(PipelineModel):
    """When a service is ready. Without ``words`` its image says it."""

    words: Texts = ()
    seconds: Whole


COMPOSE_STEP_KEYS = (
    "artifacts", "compose", "depends_on", "detach", "environment", "failure", "name", "reports", "retry", "timeout",
    "when",
)  # fmt: skip
"""The keys of a step with ``compose``."""


class ComposeContainer(PipelineModel):
    """What a service of a Compose file has and another step has not. Headway writes it, never a pipeline file."""

    project: Text
    command: Texts | None = None
    aliases: Texts = ()
    health: ComposeHealth | None = None
    volumes: Annotated[tuple[ComposeVolume, ...], Items] = ()
