"""The JSON Schema of pipeline files, made from the models: for completion, help and checks in an editor."""

import json
from typing import Any

from pipelines.model.compose import COMPOSE_STEP_KEYS, Compose
from pipelines.model.descriptions import DESCRIPTIONS
from pipelines.model.examples import DEFAULTS, EXAMPLES
from pipelines.model.fragment import Include
from pipelines.model.json_types import SCALAR
from pipelines.model.workflow import Workflow

Schema = dict[str, Any]

_MADE_BY_THE_PARSER = ("ComposeContainer", "ComposeHealth", "ComposeService", "ComposeVolume")
_OLD: Schema = {"deprecated": True}
_OLD_SECRET = {"type": "object", "properties": {"source": SCALAR, "target": SCALAR}, "additionalProperties": False}
_OLD_SECRETS = {**_OLD, "type": "array", "items": {"anyOf": [SCALAR, _OLD_SECRET]}}
_OLD_SERVICE_KEYS: Schema = {
    "secrets": {**_OLD_SECRETS, "description": "An old key. Write environment: {NAME: {from_secret: name}}."}
}
_OLD_EVENT = {
    **_OLD,
    "type": "object",
    "properties": {key: {"anyOf": [SCALAR, {"type": "array", "items": SCALAR}]} for key in ("include", "exclude")},
    "additionalProperties": False,
}
_OLD_KEYS: Schema = {
    "platform": {**_OLD, "description": "An old key. Write labels: {platform: linux/arm64}."},
    "branches": {**_OLD, "description": "An old key. Write when: {branch: ...}."},
    "secrets": {**_OLD, "description": "An old key, without effect. Name secrets with from_secret."},
}


def schema() -> Schema:
    """The schema of one workflow file."""
    made = Workflow.model_json_schema()
    definitions: Schema = made.pop("$defs")
    for name in _MADE_BY_THE_PARSER:
        del definitions[name]
    for name, definition in definitions.items():
        _describe(name, definition)
    definitions["Service"]["properties"] |= _OLD_SERVICE_KEYS
    for name in ("CommandsStep", "PluginStep"):
        definitions[name]["properties"]["secrets"]["anyOf"].append(_OLD_SECRETS)
    definitions["Condition"]["properties"]["event"]["anyOf"].append(_OLD_EVENT)
    _describe("Workflow", made)
    definitions |= _include() | _compose(definitions)
    _replace_references(made, "ComposeService", "ComposeStep")
    steps = made["properties"]["steps"]
    listed = next(choice for choice in steps["anyOf"] if choice.get("type") == "array")
    listed["items"] = {"anyOf": [{"$ref": "#/$defs/Include"}, listed["items"]]}
    old_steps = {**_OLD, "anyOf": steps["anyOf"], "description": "An old name. Write 'steps'."}
    made["properties"] |= {"pipeline": old_steps, **_OLD_KEYS}
    made.pop("required")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "A pipeline file of Headway",
        "anyOf": [{"required": ["steps"]}, {"required": ["pipeline"]}],
        "$defs": definitions,
    }


def _include() -> Schema:
    """The definition of an include, and of what it refers to."""
    made = Include.model_json_schema()
    definitions: Schema = made.pop("$defs") | {"Include": made}
    for name, definition in definitions.items():
        _describe(name, definition)
    return definitions


def _compose(definitions: Schema) -> Schema:
    """The definition of a Compose step as it is written, in place of what the parser makes of it."""
    made = Compose.model_json_schema()
    _describe("Compose", made)
    choices = [SCALAR, {"$ref": "#/$defs/Compose"}]
    own: Schema = {"compose": {"description": DESCRIPTIONS["ComposeStep"]["compose"], "anyOf": choices}}
    plain = definitions["PluginStep"]["properties"]
    keys: Schema = {key: plain[key] for key in COMPOSE_STEP_KEYS if key != "compose"}
    for key in ("environment", "detach"):
        keys[key] = {**keys[key], "description": DESCRIPTIONS["ComposeStep"][key]}
    properties = {key: {**value, "examples": EXAMPLES["ComposeStep"][key]} for key, value in (keys | own).items()}
    about = "Runs the services of a Compose file."
    step = {"type": "object", "description": about, "properties": properties, "required": ["compose"]}
    return {"Compose": made, "ComposeStep": {**step, "additionalProperties": False}}


def _replace_references(node: object, old: str, new: str) -> None:
    """What referred to one definition refers to another."""
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _replace_references(value, old, new)
    if isinstance(node, dict) and node.get("$ref") == f"#/$defs/{old}":
        node["$ref"] = f"#/$defs/{new}"


def schema_text() -> str:
    """The schema as text."""
    return json.dumps(schema(), ensure_ascii=False, indent=2) + "\n"


def _describe(model: str, definition: Schema) -> None:
    """Adds what each key means, and that its value may be empty. Removes what only pydantic needs."""
    needed = definition.get("required", [])
    definition.pop("title", None)
    for key, value in definition.get("properties", {}).items():
        plain = _plain(value)
        if key not in needed or key == "build":
            plain = _or_nothing(plain)
        definition["properties"][key] = {**_help(model, key, value.get("default")), **plain}


def _help(model: str, key: str, default: object) -> Schema:
    """The description of a key, its examples, and what counts without it. An old key is marked, without examples."""
    description = DESCRIPTIONS[model][key]
    if description.startswith("An old key"):
        return {"description": description, "deprecated": True}
    found: Schema = {"description": description, "examples": list(EXAMPLES[model][key])}
    default = DEFAULTS.get(model, {}).get(key, default)
    if default is False or (default and not isinstance(default, dict)):  # an empty value says no more than none
        found["default"] = default
    return found


def _plain(value: Schema) -> Schema:
    """Without titles and defaults, and with flattened unions."""
    kept = {key: inner for key, inner in value.items() if key not in {"title", "default"}}
    choices: list[Schema] = []
    for choice in kept.get("anyOf", []):
        inner = _plain(choice)
        choices += inner["anyOf"] if set(inner) == {"anyOf"} else [inner]
    return {**kept, "anyOf": _distinct(choices)} if choices else kept


def _or_nothing(value: Schema) -> Schema:
    nothing = {"type": "null"}
    if set(value) == {"anyOf"}:
        return {"anyOf": _distinct([*value["anyOf"], nothing])}
    return {"anyOf": [value, nothing]} if value else value


def _distinct(choices: list[Schema]) -> list[Schema]:
    return [choice for index, choice in enumerate(choices) if choice not in choices[:index]]
