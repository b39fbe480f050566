"""Warnings of what is valid but probably a mistake, or has no effect."""

from collections.abc import Iterator
from typing import assert_never

from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.go_text import scalar_text
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode


def warn_of_likely_mistakes(root: MapNode, diagnostics: Diagnostics) -> None:
    """Warns of numbers that reach a plugin in another format than in the file, and of keys without effect."""
    for container in _containers(root):
        settings = container.by_key.get("settings")
        for scalar in _scalars(settings) if settings else ():
            _warn_of_number(scalar, diagnostics)
        options = container.by_key.get("backend_options")
        if isinstance(options, MapNode) and "kubernetes" in options.by_key:
            diagnostics.warning(options.key_place("kubernetes"), "options for Kubernetes have no effect here")


def _containers(root: MapNode) -> Iterator[MapNode]:
    for group in ("clone", "services", "steps"):
        node = root.by_key.get(group)
        if isinstance(node, ListNode):
            yield from (item for item in node.items if isinstance(item, MapNode))


def _scalars(node: Node) -> Iterator[ScalarNode]:
    match node:
        case ScalarNode():
            yield node
        case ListNode():
            for item in node.items:
                yield from _scalars(item)
        case MapNode():
            for value in node.by_key.values():
                yield from _scalars(value)
        case _:
            assert_never(node)


def _warn_of_number(scalar: ScalarNode, diagnostics: Diagnostics) -> None:
    value = scalar.value
    if isinstance(value, int | float) and not isinstance(value, bool) and (text := scalar_text(value)) != scalar.text:
        message = f"{scalar.text} is a number here and reaches the plugin as {text}"
        diagnostics.warning(scalar.place, message, "put it in quotes if it is meant as a text")
