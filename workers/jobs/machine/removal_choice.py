"""Chooses what is removed from a machine: what was not used for longest, until quotas and disks are satisfied."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

IDLE_S = 3600.0
"""What was used less than this ago is not removed because a disk is full: the next job would fetch it again."""


@dataclass(frozen=True)
class Kept:
    """Something that a machine keeps and can get again. ``disk`` is the one it is on; None: unknown."""

    kind: str
    name: str
    size_bytes: int
    used_s: float
    disk: int | None = None


def choose(
    kept: Iterable[Kept], quotas: Mapping[str, int], wanted: Mapping[int | None, int], now_s: float
) -> list[Kept]:  # fmt: skip
    """What to remove, in this order. ``quotas`` by kind, 0 for none; ``wanted``: bytes to free on each disk."""
    items = sorted(kept, key=lambda each: each.used_s)
    over = Counter[str]()
    for each in items:
        over[each.kind] += each.size_bytes
    for kind in over:
        over[kind] -= quotas.get(kind) or over[kind]
    missing = Counter(wanted)
    chosen = []
    for each in items:
        idle = now_s - each.used_s >= IDLE_S
        if over[each.kind] > 0 or (idle and missing[each.disk] > 0):
            chosen.append(each)
            over[each.kind] -= each.size_bytes
            missing[each.disk] -= each.size_bytes
    return chosen


def to_free(total_bytes: int, free_bytes: int, high_percent: int, low_percent: int) -> int:
    """How many bytes to free on a disk: where it is fuller than ``high_percent``, down to ``low_percent``."""
    used = total_bytes - free_bytes
    if used * 100 <= total_bytes * high_percent:
        return 0
    return used - total_bytes * low_percent // 100
