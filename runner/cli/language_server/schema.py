"""What the JSON Schema says at a place of a pipeline file: keys, values and their descriptions."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from pipelines.model.json_schema import schema
from runner.cli.language_server.cursor import ITEM, Cursor

Schema = dict[str, Any]
_PLAIN = re.compile(r"[A-Za-z0-9./~][^\n\"'#{}\[\],]*(?<![\s:])")


@cache
def _whole() -> Schema:
    return schema()


def keys_at(cursor: Cursor) -> dict[str, list[Schema]]:
    """The keys that the map at the cursor may have beside those that it has. The kind of a step follows from these."""
    maps = [each for each in _at(cursor.path) if "properties" in each]
    fitting = [each for each in maps if cursor.present <= each["properties"].keys()]
    found: dict[str, list[Schema]] = {}
    for each in fitting or maps:
        for key, value in each["properties"].items():
            found.setdefault(key, []).append(value)
    return found


def values_at(cursor: Cursor) -> dict[str, str]:
    """The single values that may stand at the cursor, as they are written, and what each is: a value or an example."""
    found: dict[str, str] = {}
    for each in _at(cursor.path):
        flags = [True, False] if each.get("type") == "boolean" else []
        found |= {_written(value): "value" for value in [*each.get("enum", ()), *flags]}
    for each in _at(cursor.path):
        for value in each.get("examples", ()):
            if not isinstance(value, dict | list):
                found.setdefault(_written(value), "example")
    return found


def description(values: Iterable[Schema]) -> str:
    """What a key means, as Markdown, with its default and examples."""
    about = list(dict.fromkeys(text for each in values for text in _description(each)))
    return "\n\n".join(about)


def _description(value: Schema) -> Iterator[str]:
    if value.get("description"):
        yield value["description"]
    if "default" in value:
        yield f"Default: `{_flow(value['default'])}`"
    if examples := value.get("examples"):
        yield "For example:\n" + "\n".join(f"- `{_flow(each)}`" for each in examples)


def _at(path: tuple[str, ...]) -> list[Schema]:
    found = list(_choices(_whole()))
    for name in path:
        found = [choice for each in found for inner in _below(each, name) for choice in _choices(inner)]
        found = [each for index, each in enumerate(found) if each not in found[:index]]
    return found


def _below(value: Schema, name: str) -> Iterator[Schema]:
    inner = value.get("items") if name == ITEM else value.get("properties", {}).get(name)
    if inner is None and name != ITEM:
        inner = value.get("additionalProperties")
    if isinstance(inner, dict):
        yield inner


def _choices(value: Schema) -> Iterator[Schema]:
    """The schema with its reference followed, and all that it is a choice of."""
    if "$ref" in value:
        yield from _choices(_whole()["$defs"][value["$ref"].rpartition("/")[2]])
    yield value
    for choice in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from _choices(choice)


def _written(value: object) -> str:
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value)


def _flow(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case _:
            return _written(value)
