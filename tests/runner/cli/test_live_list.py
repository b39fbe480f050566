"""The list of workflows and steps that ``headway run`` keeps at the end of a terminal."""

import io

import pytest
from rich.console import Console, Group

from pipelines.state import State
from runner.cli.run.live_list import LINES_KEPT_FREE, LINES_MIN, JobRows, LiveList, Row


def console(*, terminal: bool = True, width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, height=24, color_system="standard")


def live_list(**jobs: list[Row]) -> LiveList:
    shown = LiveList(console())
    for number, (name, steps) in enumerate(jobs.items(), start=1):
        states = {row.state for row in steps}
        state = next((each for each in (State.RUNNING, State.FAILED) if each in states), State.QUEUED)
        shown.jobs[number] = JobRows(Row(name, state), steps)
    return shown


def texts(shown: LiveList, height: int = 24, now_s: float = 100.0) -> list[str]:
    return [line.plain for line in shown.lines(height, now_s)]


def rows(count: int, state: State = State.QUEUED, name: str = "step") -> list[Row]:
    return [Row(f"{name}{number}", state) for number in range(count)]


def test_one_job_is_its_steps_with_state_time_and_message() -> None:
    steps = [
        Row("make", State.PASSED, 1.0, 2.25, "unchanged"), Row("unit", State.RUNNING, 96.5), Row("push"),
    ]  # fmt: skip
    assert texts(live_list(test=steps)) == ["✓ make 2.2 s unchanged", "⠋ unit 3.5 s", "· push"]


def test_of_several_jobs_only_those_that_run_or_have_failed_show_their_steps() -> None:
    shown = live_list(a=rows(2), b=[Row("x", State.FAILED)], c=[Row("y", State.RUNNING, 99.0)])
    assert texts(shown) == ["· a", "✗ b", "  ✗ x", "⠋ c 100.0 s", "  ⠋ y 1.0 s"]


@pytest.mark.parametrize(("count", "more"), [(10, 0), (11, 2)])
def test_a_long_list_leaves_lines_for_the_log(count: int, more: int) -> None:
    found = texts(live_list(test=rows(count)), height=10 + LINES_KEPT_FREE)
    assert len(found) == 10
    assert found[-1] == (f"… and {more} more" if more else "· step9")


def test_what_runs_or_has_failed_is_shown_first_where_not_all_fits_and_in_its_place() -> None:
    steps = [*rows(5, State.PASSED, "old"), Row("bad", State.FAILED), *rows(3), Row("busy", State.RUNNING, 99.0)]
    found = texts(live_list(test=steps), height=5 + LINES_KEPT_FREE)
    assert found == ["✗ bad", "· step0", "· step1", "⠋ busy 1.0 s", "… and 6 more"]


@pytest.mark.parametrize("height", [0, 1, LINES_KEPT_FREE])
def test_a_terminal_without_height_has_a_short_list(height: int) -> None:
    assert len(texts(live_list(test=rows(9)), height)) == LINES_MIN


@pytest.mark.parametrize("width", [1, 5, 20])
def test_a_narrow_terminal_cuts_lines_and_never_wraps_them(width: int) -> None:
    narrow = console(width=width)
    for line in live_list(test=[Row("name " * 50, State.PASSED, 1.0, 2.0, "why " * 99)]).lines(24, 0):
        with narrow.capture() as said:
            narrow.print(Group(line))
        assert len(said.get().splitlines()) == 1


@pytest.mark.parametrize(
    ("terminal", "variables", "on"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
    ],
)
def test_it_is_shown_on_a_terminal_that_can_redraw(
    *, terminal: bool, variables: dict[str, str], on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    shown = LiveList(console(terminal=terminal))
    assert shown.on is on
    with shown:
        pass
    assert bool(shown._console.file.getvalue()) is on  # type: ignore[attr-defined]
