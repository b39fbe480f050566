"""Finds the key of a pipeline file that a position belongs to, for hints that depend on what reads the value there."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import ListNode, MapNode, Node


class ContainingKey(NamedTuple):
    """``keys`` lead from the root of the file to the value, without indexes. ``plugin``: in a step without a shell."""

    keys: tuple[str, ...] = ()
    plugin: bool = False


class KeyIndex:
    """The keys of a file by their places."""

    def __init__(self, root: Node | None) -> None:
        found = sorted(_keys(root, (), plugin=False), key=lambda each: each[0]) if root else []
        self._places = [place for place, _ in found]
        self._keys = [key for _, key in found]

    def at(self, place: Place) -> ContainingKey:
        """The key whose value is at ``place``."""
        number = bisect_right(self._places, place)
        return self._keys[number - 1] if number else ContainingKey()


def _keys(node: Node, above: tuple[str, ...], *, plugin: bool) -> Iterator[tuple[Place, ContainingKey]]:
    if isinstance(node, MapNode):
        for key, value in node.entries:
            path = (*above, key.text)
            yield key.place, ContainingKey(path, plugin)
            yield from _keys(value, path, plugin=plugin)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _keys(item, above, plugin=plugin or _is_plugin(item))


def _is_plugin(node: Node) -> bool:
    keys = node.by_key.keys() if isinstance(node, MapNode) else set()
    return "settings" in keys and "commands" not in keys
