"""What the models of the pipeline language share."""

from pydantic import BaseModel, ConfigDict, model_validator

from pipelines.nodes import ListNode, MapNode, ScalarNode, kind_name
from pipelines.values import fail


class Language(BaseModel):
    """A map of the pipeline file. A key with nothing behind it counts as not written."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _from_node(cls, value: object) -> object:
        if isinstance(value, MapNode):
            return {name: node for name, node in value.by_key.items() if not _nothing(node) or name not in cls.model_fields}
        if isinstance(value, ListNode | ScalarNode):
            fail(f"a map is wanted here, not {kind_name(value)}", "keys of it: " + ", ".join(list(cls.model_fields)[:8]))
        return value


def _nothing(node: object) -> bool:
    return isinstance(node, ScalarNode) and node.is_null
