"""The nodes of parsed YAML: scalars, lists and maps, each with its position in the file.

Scalars follow the YAML 1.2 core schema, so ``on``, ``no`` and ``22:22`` are text.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import assert_never

from pipelines.syntax.diagnostics import Place
from pipelines.syntax.shell_text import ShellText

_NULL = re.compile(r"(?:~|null|Null|NULL)?")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
# With a leading zero, a number stays text: it is mostly an id or a file mode.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER_CHARACTERS_MAX = 400

CoreValue = str | int | float | bool | None


@dataclass(frozen=True, eq=False)
class ScalarNode:
    """One value. ``plain`` means unquoted: then the text decides the type. ``shell`` is its text in a shell script."""

    place: Place
    text: str
    plain: bool = False
    shell: ShellText | None = None
    size: int = 1
    height: int = 0

    @cached_property
    def value(self) -> CoreValue:
        """What the text means in the YAML 1.2 core schema."""
        return core_value(self.text) if self.plain else self.text

    @property
    def is_null(self) -> bool:
        """True if the value is empty, ``~`` or ``null``."""
        return self.value is None


@dataclass(frozen=True, eq=False)
class ListNode:
    """A list."""

    place: Place
    items: "tuple[Node, ...]"
    size: int = 1
    height: int = 1


@dataclass(frozen=True, eq=False)
class TaggedList(ListNode):
    """A list with a tag of another system, such as ``!reference``. In a pipeline file the tag has no meaning."""

    tag: str = ""


@dataclass(frozen=True, eq=False)
class MapNode:
    """A map in the order of the file, with merges applied and without duplicate keys."""

    place: Place
    entries: "tuple[tuple[ScalarNode, Node], ...]"
    size: int = 1
    height: int = 1

    @cached_property
    def by_key(self) -> "dict[str, Node]":
        """The values by their keys."""
        return {key.text: value for key, value in self.entries}

    @cached_property
    def _key_places(self) -> dict[str, Place]:
        return {key.text: key.place for key, _ in self.entries}

    def key_place(self, key: str) -> Place:
        """Where the key itself stands."""
        return self._key_places.get(key, self.place)

    def with_entries(self, entries: "list[tuple[ScalarNode, Node]]") -> "MapNode":
        """The same map with other entries."""
        return MapNode(self.place, tuple(entries), self.size, self.height)


class LegacySecrets(MapNode):
    """The environment that replaces a legacy list of ``secrets``: a plugin with one is still a plugin."""


Node = ScalarNode | ListNode | MapNode


def core_value(text: str) -> CoreValue:
    """The value of plain text: null, true, false and numbers as YAML 1.2 has them, else the text itself."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text.lower() == "true"
    return _number(text) if len(text) <= _NUMBER_CHARACTERS_MAX else text


def _number(text: str) -> CoreValue:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1))
    leading_zero = re.match(r"[-+]?0[0-9]", text)
    return float(text) if _FLOAT.fullmatch(text) and not leading_zero else text


def kind_name(node: Node) -> str:
    """The kind of node, as words for an error message."""
    match node:
        case ScalarNode():
            return "nothing" if node.is_null else "a single value"
        case ListNode():
            return "a list"
        case MapNode():
            return "a map"
        case _:
            assert_never(node)
