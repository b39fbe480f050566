"""How the fields of the models are written, for the JSON schema: they take more spellings than their types say."""

from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Also:
    """In the JSON schema a field may be written like this too."""

    def __init__(self, *schemas: dict[str, Any]) -> None:
        self.schemas = schemas

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [*self.schemas, handler(core)]}


class Written:
    """In the JSON schema this is how a field is written, whatever becomes of it."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(self.schema)


class OneOrMany:
    """In the JSON schema a list's only item may stand without the list around it."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


class ListOrMap:
    """In the JSON schema a list of things with names may also be a map from name to thing."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        listed = handler(core)
        named = {"type": "object", "additionalProperties": listed["items"]}
        return {"anyOf": [{**named, "minProperties": listed["minItems"]} if "minItems" in listed else named, listed]}


SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean"]}
VARIABLE = r"\$\{"  # in place of a number or a flag there may be a variable
SCALARS = {"anyOf": [SCALAR, {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}}]}
ALSO_SHORT = Also(SCALAR, {"type": "array", "items": SCALAR})
PAIRS = {"type": "array", "items": {"type": "string", "pattern": "="}}
FLAG = r"^([Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF|[YyNn])$"
