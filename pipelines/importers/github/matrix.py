"""``strategy.matrix`` of a job: its combinations, and the variables that they become."""

import re
from collections.abc import Callable, Mapping
from itertools import product

from pipelines.importers.github.expressions.folding import fold
from pipelines.importers.github.expressions.names import Names, variable_name
from pipelines.importers.github.expressions.parser import Lit, Ref, Tree, UnreadableError, split
from pipelines.importers.keys import Keys, entries_of, items_of, text_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value, literal
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

CELLS_COUNT_MAX = 256
Cell = dict[str, str]


class Matrix:
    """The combinations. ``cells`` have the value of each axis by its path, such as ``config.os``."""

    def __init__(self, cells: list[Cell], is_product: bool) -> None:  # noqa: FBT001 - one of two forms
        self.cells, self._is_product = cells, is_product

    @property
    def constants(self) -> Cell:
        """The axes that have one value in all combinations."""
        return {
            path: value
            for path, value in (self.cells[0].items() if self.cells else ())
            if all(cell.get(path) == value for cell in self.cells)
        }

    @property
    def names(self) -> dict[str, str]:
        """The variables of the other axes, by their paths."""
        paths = dict.fromkeys(path for cell in self.cells for path in cell)
        constants = self.constants
        found: dict[str, str] = {}
        for path in paths:
            if path not in constants:
                name = variable_name(path)
                found[path] = f"{name}_{len(found)}" if name in found.values() else name
        return found

    def without(self, unwanted: Callable[[Cell], bool]) -> "Matrix":
        """The matrix without some combinations."""
        return Matrix([cell for cell in self.cells if not unwanted(cell)], self._is_product)

    def text(self, texts: list[str]) -> Raw | None:
        """One text that is the right one for each combination, if there is one."""
        if len(set(texts)) <= 1:
            return literal(texts[0]) if texts else None
        for path, name in self.names.items():
            value = self.cells[0].get(path, "")
            template = re.sub(rf"(?<![\w.]){re.escape(value)}(?![\w.])", "\0", texts[0], count=1) if value else ""
            if "\0" in template and all(
                template.replace("\0", cell.get(path, "")) == text for cell, text in zip(self.cells, texts, strict=True)
            ):
                before, _, after = template.partition("\0")
                return Raw(f"{literal(before)}${{{name}}}{literal(after)}")
        return None

    def value(self, more: Mapping[str, list[str]]) -> Value | None:
        """The key ``matrix`` with further variables of each combination; None without a variable."""
        names = self.names
        if not names and not more:
            return None
        axes: dict[str, list[Value]] = {name: [] for name in names.values()}
        for cell in self.cells:
            for path, name in names.items():
                if (text := literal(cell.get(path, ""))) not in axes[name]:
                    axes[name].append(text)
        count = 1
        for values in axes.values():
            count *= len(values)
        if self._is_product and not more and count == len(self.cells):
            return dict[str, Value](axes)
        include = [
            {name: literal(cell.get(path, "")) for path, name in names.items()}
            | {name: literal(values[number]) for name, values in more.items()}
            for number, cell in enumerate(self.cells)
        ]
        return {"include": [dict[str, Value](cell) for cell in include]}


def matrix_of(strategy: Keys, remarks: Remarks) -> Matrix:
    """The matrix of a job, without combinations if it has none."""
    node = strategy.take("matrix")
    if not isinstance(node, MapNode):
        if node is not None:
            remarks.error(node.place, f"the matrix of {strategy.where} is made by an expression", "write its values")
        return Matrix([], is_product=True)
    axes = _axes(node, remarks)
    cells = (
        [_joined(each) for _, each in zip(range(CELLS_COUNT_MAX + 1), product(*axes.values()), strict=False)]
        if axes
        else []
    )
    for excluded in _listed(node, "exclude", remarks):
        cells = [cell for cell in cells if not excluded.items() <= cell.items()]
    included = _listed(node, "include", remarks)
    paths = frozenset(path for values in axes.values() for cell in values for path in cell)
    for cell in included:
        _include(cells, cell, paths)
    if len(cells) > CELLS_COUNT_MAX:
        remarks.error(node.place, f"the matrix has more than {CELLS_COUNT_MAX} combinations; others are left out")
        del cells[CELLS_COUNT_MAX:]
    return Matrix(cells, is_product=not included)


def _axes(node: MapNode, remarks: Remarks) -> dict[str, list[Cell]]:
    axes: dict[str, list[Cell]] = {}
    for key, value in node.entries:
        if key.text in {"include", "exclude"}:
            continue
        if isinstance(value, ScalarNode) and "${{" in value.text:
            remarks.error(
                value.place, f"the axis '{key.text}' is made by an expression; it is left out", "write its values"
            )
            continue
        axes[key.text.lower()] = [_flat(item, key.text.lower()) for item in items_of(value)]
    return axes


def _joined(cells: tuple[Cell, ...]) -> Cell:
    return {path: value for cell in cells for path, value in cell.items()}


def _flat(node: Node, path: str) -> Cell:
    if isinstance(node, MapNode):
        return {
            name: text
            for key, value in node.entries
            for name, text in _flat(value, f"{path}.{key.text.lower()}").items()
        }
    if isinstance(node, ListNode):
        return {path: " ".join(text_of(item) for item in node.items)}
    return {path: text_of(node)}


def _listed(node: MapNode, key: str, remarks: Remarks) -> list[Cell]:
    value = node.by_key.get(key)
    if isinstance(value, ScalarNode) and "${{" in value.text:
        remarks.error(value.place, f"'{key}' of a matrix is made by an expression; it is left out", "write its values")
        return []
    return [
        _joined(tuple(_flat(each, name.text.lower()) for name, each in entries_of(item))) for item in items_of(value)
    ]


def _include(cells: list[Cell], included: Cell, axes: frozenset[str]) -> None:
    """Adds to the combinations that it does not contradict, else it is one of its own."""
    shared = {path: value for path, value in included.items() if path in axes}
    fitting = [cell for cell in cells if axes and all(cell.get(path) == value for path, value in shared.items())]
    for cell in fitting:
        cell.update(included)
    if not fitting:
        cells.append(dict(included))


def text_in_cell(text: str, cell: Cell, names: Names) -> str:
    """A text with the values of one combination; what is not known is empty."""
    inside = Names(env=names.env, constants=cell)
    try:
        parts = [part if isinstance(part, str) else fold(part, "", inside) for part in split(text)]
    except UnreadableError:
        return ""
    return "".join(_in_cell(part, names.env) for part in parts)


def _in_cell(part: str | Tree, env: Mapping[str, str]) -> str:
    match part:
        case str():
            return part
        case Lit(text):
            return text
        case Ref(("env", name)):
            return env.get(name, "")
        case _:
            return ""
