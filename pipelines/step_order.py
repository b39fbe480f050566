"""The order of a job's steps, computed from the steps that each one needs."""

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter


def ancestors(needs: Mapping[int, Sequence[int]]) -> dict[int, frozenset[int]]:
    """For each step, all steps that must have ended before it starts, directly needed or not."""
    found: dict[int, frozenset[int]] = {}
    for step in TopologicalSorter(needs).static_order():
        direct = needs.get(step, ())
        found[step] = frozenset(direct).union(*(found[each] for each in direct))
    return found
