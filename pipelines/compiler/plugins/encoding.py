"""Encodes settings as environment variables, byte for byte as Woodpecker 3.x does."""

import json
import math
from collections.abc import Mapping

from pipelines.model.fields import FromSecret
from pipelines.plan import EnvValue, SecretRef, text
from pipelines.syntax.go_text import scalar_text, shortest


def plugin_environment(settings: Mapping[str, object]) -> dict[str, EnvValue]:
    """The ``PLUGIN_*`` variables of a plugin's settings."""
    named = {plugin_name(key): value for key, value in settings.items() if key}
    return encode_all(named)


def plugin_name(key: str) -> str:
    """The variable of a plugin's setting."""
    return "PLUGIN_" + key.replace("-", "_").replace(".", "_").upper()


def encode_all(values: Mapping[str, object]) -> dict[str, EnvValue]:
    """Every value encoded, without those that are null."""
    return {name: encode(value) for name, value in values.items() if name and value is not None}


def encode(value: object) -> EnvValue:
    """A value as text, with placeholders for its secrets."""
    match value:
        case FromSecret(name):
            return (SecretRef(secret=name),)
        case list() if any(isinstance(item, list | dict | FromSecret) for item in value):
            return _joined(_json_parts(value))
        case list():
            return text(",".join(scalar_text(item) for item in value))
        case dict():
            return _joined(_json_parts(value))
        case _:
            return text(scalar_text(value))


def _json_parts(value: object) -> list[str | SecretRef]:
    match value:
        case FromSecret(name):
            return [SecretRef(secret=name, as_json=True)]
        case list():
            return ["[", *_separated([_json_parts(item) for item in value]), "]"]
        case dict():
            pairs = [[_json(key), ":", *_json_parts(item)] for key, item in sorted(value.items())]
            return ["{", *_separated(pairs), "}"]
        case float() if math.isfinite(value):
            return [shortest(value, exponent_below=1e-6, exponent_from=1e21, exponent_digits=1)]
        case float():
            return [_json(scalar_text(value))]
        case _:
            return [_json(value)]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _separated(items: list[list[str | SecretRef]]) -> list[str | SecretRef]:
    return [part for index, item in enumerate(items) for part in ([","] if index else []) + item]


def _joined(parts: list[str | SecretRef]) -> EnvValue:
    joined: list[str | SecretRef] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)
