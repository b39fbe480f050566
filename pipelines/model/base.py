"""The base class of all models of the pipeline language."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from pipelines.model.fields import fail
from pipelines.syntax.nodes import ListNode, MapNode, ScalarNode, kind_name


class PipelineModel(BaseModel):
    """A map of the pipeline file. A key without a value is ignored, unless it is in ``may_be_empty``.

    ``wanted`` says in an error what is valid here, ``remedy`` what to write.
    """

    wanted: ClassVar[str] = "a map"
    remedy: ClassVar[str] = "write KEY: VALUE pairs, one below the other"
    may_be_empty: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _from_node(cls, value: object) -> object:
        if isinstance(value, MapNode):
            dropped = {name for name, node in value.by_key.items() if _is_empty(node)} & set(cls.model_fields)
            return {name: node for name, node in value.by_key.items() if name not in dropped - cls.may_be_empty}
        if isinstance(value, ListNode | ScalarNode):
            fail(f"{cls.wanted} is wanted here, not {kind_name(value)}", cls.remedy)
        return value


def _is_empty(node: object) -> bool:
    return isinstance(node, ScalarNode) and node.is_null
