"""Where the nodes of a graph stand: in a column behind all that they need, with as few crossing lines as that gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

NODES_MAX = 150
"""A larger graph is not drawn: it could not be read, and each line costs time."""


@dataclass(frozen=True)
class Place:
    """Where a node stands, counted from 0."""

    column: int
    row: int


@dataclass(frozen=True)
class Layout:
    """The places of all nodes, and the lines between them: of what a node needs, only what nothing else implies."""

    places: Mapping[str, Place]
    edges: Sequence[tuple[str, str]]


def layout_of(needs: Mapping[str, Sequence[str]]) -> Layout:
    """The layout of nodes in their order; each value has the nodes that a node needs. There is no cycle in it."""
    known = {node: [each for each in dict.fromkeys(wanted) if each in needs] for node, wanted in needs.items()}
    columns: dict[str, int] = {}
    behind: dict[str, frozenset[str]] = {}
    edges: list[tuple[str, str]] = []
    for node in TopologicalSorter(known).static_order():
        wanted = known[node]
        columns[node] = max((columns[each] + 1 for each in wanted), default=0)
        implied: frozenset[str] = frozenset().union(*(behind[each] for each in wanted))
        behind[node] = implied | frozenset(wanted)
        edges += [(each, node) for each in wanted if each not in implied]
    return Layout(_places(list(needs), columns, edges), edges)


def _places(
    nodes: Sequence[str], columns: Mapping[str, int], edges: Sequence[tuple[str, str]]
) -> dict[str, Place]:  # fmt: skip
    """A node stands beside the middle of what it needs, as far as there is room."""
    sources: dict[str, list[str]] = {}
    for source, target in edges:
        sources.setdefault(target, []).append(source)
    places: dict[str, Place] = {}

    def middle(node: str) -> float:
        rows = [places[each].row for each in sources.get(node, ())]
        return sum(rows) / len(rows) if rows else 0

    for column in range(max(columns.values(), default=-1) + 1):
        row = 0
        for node in sorted((each for each in nodes if columns[each] == column), key=middle):
            row = max(row, int(middle(node)))
            places[node] = Place(column, row)
            row += 1
    return places
