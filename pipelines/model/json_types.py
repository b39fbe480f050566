"""JSON Schema annotations for fields that accept more forms in the file than their Python types say."""

from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Also:
    """The JSON Schema of the field also accepts ``schemas``."""

    def __init__(self, *schemas: dict[str, Any]) -> None:
        self.schemas = schemas

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [*self.schemas, handler(core)]}


class Written:
    """The JSON Schema of the field is ``schema``, whatever its Python type is."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(self.schema)


class OneOrMany:
    """The JSON Schema of the list also accepts a single item without a list."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


class ListOrMap:
    """The JSON Schema of the list of named items also accepts a map from name to item."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        listed = handler(core)
        named = {"type": "object", "additionalProperties": listed["items"]}
        return {"anyOf": [{**named, "minProperties": listed["minItems"]} if "minItems" in listed else named, listed]}


SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean"]}
VARIABLE = r"\$\{"  # a variable may stand for a number or a flag
SCALARS = {"anyOf": [SCALAR, {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}}]}
ALSO_SHORT = Also(SCALAR, {"type": "array", "items": SCALAR})
PAIRS = {"type": "array", "items": {"type": "string", "pattern": "="}}
FLAG = r"^([Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF|[YyNn])$"
MATRIX = {
    "type": "object",
    "properties": {"include": {"type": ["array", "null"], "items": {"type": "object"}}},
    "additionalProperties": {"type": "array"},
}
