"""Reads the values of plugin settings, which may be texts, lists or maps, as the plugins do."""

import re

from pipelines.model.fields import FromSecret
from pipelines.syntax.go_text import scalar_text


def holds_secret(value: object) -> bool:
    """Is any part of the value a secret?"""
    match value:
        case FromSecret():
            return True
        case list():
            return any(holds_secret(item) for item in value)
        case dict():
            return any(holds_secret(item) for item in value.values())
        case _:
            return False


def list_of(value: object) -> tuple[str, ...]:
    """The texts of a list, or of a text with commas."""
    if isinstance(value, list):
        return tuple(text for item in value if (text := scalar_text(item).strip()))
    # A backslash keeps a comma from splitting, as in "type=registry\,ref=...".
    parts = re.split(r"(?<!\\),", scalar_text(value))
    return tuple(text for part in parts if (text := part.replace("\\,", ",").strip()))


def map_of(value: object) -> dict[str, str]:
    """The texts of a map, or of a list of ``KEY=VALUE``."""
    if isinstance(value, dict):
        return {key: scalar_text(item) for key, item in value.items()}
    pairs = (item.partition("=") for item in list_of(value))
    return {key: text for key, _, text in pairs}
