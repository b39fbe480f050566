"""The judge of the soak test: what grows is found, and what rises and falls is not."""

import os
from pathlib import Path

import pytest

from tests.chaos.soak import DESCRIPTORS, FILES, MEMORY, files_below, growth, measured

LONG = 60


def test_what_grows_all_the_time_is_found() -> None:
    series = {("web", MEMORY): [100.0 + 2 * number for number in range(LONG)]}
    assert growth(series) == ["web: 148.5 MiB became 188.5"]


@pytest.mark.parametrize(
    "values",
    [
        [100.0] * LONG,
        [50.0 + 2 * number for number in range(LONG // 3)] + [100.0] * (2 * LONG // 3),
        [100.0 + 20 * (number % 3) for number in range(LONG)],
    ],
)
def test_what_warms_up_or_rises_and_falls_is_flat(values: list[float]) -> None:
    assert growth({("web", MEMORY): values}) == []


@pytest.mark.parametrize(("after", "grew"), [(115.0, False), (116.0, True)])
def test_growth_at_its_limit(after: float, grew: bool) -> None:
    assert DESCRIPTORS.grew(100.0, after) is grew


def test_what_the_history_needs_is_not_counted(tmp_path: Path) -> None:
    for name in ("mirrors/a/b", "workspaces/c", "d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files_below(tmp_path) == 2
    assert FILES.name == "files"


def test_a_process_is_measured_and_one_that_has_ended_is_left_out() -> None:
    found = measured([os.getpid(), 2**22 + 1])
    assert found[MEMORY] > 1
    assert found[DESCRIPTORS] >= 3
