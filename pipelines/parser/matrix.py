"""The cells of a ``matrix``, in the same order as in Woodpecker 3.x."""

import re
from collections.abc import Iterator
from itertools import product
from math import prod
from typing import assert_never

from pipelines.syntax.diagnostics import WHOLE_FILE, Diagnostics
from pipelines.syntax.go_text import scalar_text
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, kind_name

CELLS_COUNT_MAX = 256
ALL_CELLS_CHARACTERS_MAX = 1024 * 1024  # cells times characters of the file

_REFERENCE = re.compile(r"\$\{([\w-]+)\}")
_NO_EXCLUDE = "remove it, and list the combinations that run under 'include'"

Cell = dict[str, str]


def check_size(cells: list[Cell], text: str, diagnostics: Diagnostics) -> bool:
    """False, with an error, for a long file with many cells: the file is read once per cell."""
    if len(cells) * len(text) <= ALL_CELLS_CHARACTERS_MAX:
        return True
    message = (
        f"this file has {len(text)} characters and its matrix {len(cells)} combinations, which is too much together"
    )
    diagnostics.error(WHOLE_FILE, message, "make the matrix smaller, or split the pipeline into several files")
    return False


def cells_of(root: Node, diagnostics: Diagnostics) -> list[Cell]:
    """One cell for every job of the workflow. Without a matrix, a single empty one."""
    matrix = root.by_key.get("matrix") if isinstance(root, MapNode) else None
    if matrix is None or (isinstance(matrix, ScalarNode) and matrix.is_null):
        return [{}]
    if not isinstance(matrix, MapNode):
        diagnostics.error(
            matrix.place, f"'matrix' is a map of lists, not {kind_name(matrix)}", "write NAME: [VALUE, VALUE]"
        )
        return [{}]
    include = matrix.by_key.get("include")
    if isinstance(include, ListNode) and include.items:
        cells = [_included(item, diagnostics) for item in include.items]
        return _limited(cells, len(cells), matrix, diagnostics)
    axes = {
        key.text: _axis(key, node, diagnostics) for key, node in sorted(matrix.entries, key=lambda entry: entry[0].text)
    }
    axes = {name: values for name, values in axes.items() if values}
    count = prod(len(values) for values in axes.values())
    if count > CELLS_COUNT_MAX:
        return _limited([], count, matrix, diagnostics)
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _matrix(root: Node | None) -> MapNode | None:
    matrix = root.by_key.get("matrix") if isinstance(root, MapNode) else None
    return matrix if isinstance(matrix, MapNode) else None


def _values(node: Node, axis: str = "") -> Iterator[tuple[str, ScalarNode]]:
    match node:
        case ScalarNode():
            yield axis, node
        case ListNode():
            for item in node.items:
                yield from _values(item, axis)
        case MapNode():
            for key, child in node.entries:
                yield from _values(child, key.text)
        case _:
            assert_never(node)


def outside_values(root: Node | None) -> frozenset[tuple[str, str]]:
    """The axes with those of their values that hold something from outside, which must not become YAML or shell."""
    matrix = _matrix(root)
    found = _values(matrix) if matrix else ()
    return frozenset((axis, node.text) for axis, node in found if node.shell is not None)


def warn_of_axes_in_values(root: Node | None, diagnostics: Diagnostics) -> None:
    """Warns of values that refer to an axis. In ``root`` every reference is still as it was written."""
    matrix = _matrix(root)
    found = list(_values(matrix)) if matrix else []
    axes = {axis for axis, _ in found}
    for _, node in found:
        for name in axes.intersection(_REFERENCE.findall(node.text) if node.shell else ()):
            message = f"${{{name}}} is an axis of the matrix itself, which its values cannot use, and is empty here"
            diagnostics.warning(node.place, message, "write the combinations out under 'include'")


def _limited(cells: list[Cell], count: int, matrix: MapNode, diagnostics: Diagnostics) -> list[Cell]:
    if count <= CELLS_COUNT_MAX:
        return cells
    message = f"this matrix has {count} combinations, and at most {CELLS_COUNT_MAX} are run"
    diagnostics.error(matrix.place, message, "list those that matter under 'include'")
    return [{}]


def _included(item: Node, diagnostics: Diagnostics) -> Cell:
    if not isinstance(item, MapNode):
        diagnostics.error(
            item.place, f"an item of 'include' is a map of values, not {kind_name(item)}", "write - NAME: VALUE"
        )
        return {}
    return {key.text: _value(node, diagnostics) for key, node in item.entries}


def _axis(key: ScalarNode, node: Node, diagnostics: Diagnostics) -> list[str]:
    if key.text == "exclude" and _has_map(node):
        message = "a matrix has no 'exclude': every combination of its axes is a job"
        diagnostics.error(key.place, message, _NO_EXCLUDE)
        return []
    if isinstance(node, ListNode):
        if key.text == "exclude":
            message = "'exclude' is an axis like any other here, and excludes no combination"
            diagnostics.warning(key.place, message, _NO_EXCLUDE)
        if not node.items:
            message = f"the axis '{key.text}' of the matrix has no values and is ignored"
            diagnostics.warning(node.place, message, f"write {key.text}: [VALUE, VALUE], or remove it")
        return [_value(item, diagnostics) for item in node.items]
    if key.text == "include" and isinstance(node, ScalarNode) and node.is_null:
        return []
    hint = f"write {key.text}: [{node.text}]" if isinstance(node, ScalarNode) and node.text else "write a list"
    diagnostics.error(
        node.place, f"the axis '{key.text}' of the matrix is a list of values, not {kind_name(node)}", hint
    )
    return []


def _has_map(node: Node) -> bool:
    return any(isinstance(each, MapNode) for each in (node.items if isinstance(node, ListNode) else [node]))


def _value(node: Node, diagnostics: Diagnostics) -> str:
    if not isinstance(node, ScalarNode):
        diagnostics.error(
            node.place, f"a value of the matrix is a single value, not {kind_name(node)}", "write one text"
        )
        return ""
    if node.is_null:
        return ""
    return scalar_text(node.value) if isinstance(node.value, bool) else node.text
