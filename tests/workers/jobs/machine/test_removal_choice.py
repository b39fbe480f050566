"""Which mirrors and images go first, and how many."""

import pytest

from workers.jobs.machine.removal_choice import IDLE_S, Kept, choose, to_free
from workers.settings import Settings

NOW_S = 1_000_000.0


def kept(kind: str, name: str, size: int, idle_s: float = 2 * IDLE_S, disk: int | None = 1) -> Kept:
    return Kept(kind, name, size, NOW_S - idle_s, disk)


def chosen(items: list[Kept], quotas: dict[str, int], wanted: dict[int | None, int] | None = None) -> list[str]:
    return [each.name for each in choose(items, quotas, wanted or {}, NOW_S)]


def test_a_quota_is_kept_by_removing_what_was_not_used_for_longest() -> None:
    items = [kept("mirrors", "new", 10, 1), kept("mirrors", "old", 10, 9), kept("mirrors", "older", 10, 99)]
    assert chosen(items, {"mirrors": 30}) == []
    assert chosen(items, {"mirrors": 29}) == ["older"]
    assert chosen(items, {"mirrors": 20}) == ["older"]
    assert chosen(items, {"mirrors": 19}) == ["older", "old"]
    assert chosen(items, {"mirrors": 0}) == []
    assert chosen([*items, kept("images", "i", 50, 999)], {"mirrors": 29, "images": 50}) == ["older"]


def test_a_full_disk_takes_of_all_kinds_but_nothing_that_was_used_within_an_hour() -> None:
    items = [
        kept("mirrors", "m1", 10, 3 * IDLE_S),
        kept("images", "i1", 10, 4 * IDLE_S),
        kept("images", "other disk", 10, 9 * IDLE_S, disk=2),
        kept("mirrors", "at the limit", 10, IDLE_S),
        kept("mirrors", "just used", 10, IDLE_S - 1),
    ]
    assert chosen(items, {}, {1: 10}) == ["i1"]
    assert chosen(items, {}, {1: 11}) == ["i1", "m1"]
    assert chosen(items, {}, {1: 1000}) == ["i1", "m1", "at the limit"]
    assert chosen(items, {"mirrors": 25}, {1: 15}) == ["i1", "m1"], "what a quota removes frees the disk, too"


@pytest.mark.parametrize(("free", "wanted"), [(15, 0), (14, 11), (0, 25), (100, 0)])
def test_a_disk_is_emptied_from_the_high_mark_to_the_low_one(free: int, wanted: int) -> None:
    assert to_free(100, free, 85, 75) == wanted


@pytest.mark.parametrize(("high", "low", "stops"), [(85, 75, 75), (85, 84, 84), (85, 85, 84), (1, 75, 0)])
def test_cleaning_stops_below_where_it_starts(high: int, low: int, stops: int) -> None:
    assert Settings(disk_high_percent=high, disk_low_percent=low).disk_marks == (high, stops)
