"""The key ``inputs``: what a person may give to a run that is started by hand or by a cron."""

from typing import Annotated, ClassVar

from pipelines.inputs import INPUT_TYPES, InputType
from pipelines.model.base import PipelineModel
from pipelines.model.fields import Before, Flag, Text, Texts, fail, text_of
from pipelines.model.json_types import SCALAR, Also
from pipelines.syntax.nodes import ListNode, MapNode, ScalarNode, kind_name


def _type(value: object) -> object:
    word = text_of(value)
    if isinstance(word, str) and word not in INPUT_TYPES:
        fail(f"'{word}' is not a type of inputs", f"the types are {', '.join(INPUT_TYPES)}")
    return word


class InputDeclaration(PipelineModel):
    """An input of a run. ``options`` is another word for ``choices``."""

    wanted: ClassVar[str] = "a default value, or a map with 'type' and the like,"
    remedy: ClassVar[str] = "write for example {type: boolean, default: false}"

    type: Annotated[InputType, Before(_type)] = "string"
    default: Text | None = None
    choices: Texts = ()
    options: Texts = ()
    required: Flag = False
    description: Text = ""


def _declaration(value: object) -> object:
    if isinstance(value, ScalarNode):
        return {} if value.is_null else {"default": value}
    return value


def _declarations(value: object) -> object:
    if isinstance(value, ListNode | ScalarNode):
        fail(f"a map is wanted here, not {kind_name(value)}", "write NAME: DEFAULT pairs below it, indented")
    return value.by_key if isinstance(value, MapNode) else value


Declaration = Annotated[InputDeclaration, Before(_declaration), Also(SCALAR, {"type": "null"})]
Inputs = Annotated[dict[str, Declaration], Before(_declarations)]
"""Inputs by name. A plain value is the default of a string."""
