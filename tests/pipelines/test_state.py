"""States: their transitions, and the verdict of a run."""

import pytest

from pipelines.state import NEXT, State, verdict


def test_every_state_can_be_reached_and_only_the_ended_ones_are_final() -> None:
    reached = {State.QUEUED}
    while grown := {after for state in reached for after in NEXT[state]} - reached:
        reached |= grown
    assert reached == set(State) == set(NEXT)
    assert {state for state in State if not state.final} == {State.QUEUED, State.RUNNING}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], State.PASSED),
        ([State.PASSED, State.SKIPPED], State.PASSED),
        ([State.SKIPPED], State.SKIPPED),
        ([State.PASSED, State.FAILED], State.FAILED),
        ([State.FAILED, State.CANCELED], State.CANCELED),
        ([State.CANCELED, State.BROKEN, State.PASSED], State.BROKEN),
    ],
)
def test_the_worst_of_several_is_the_verdict(states: list[State], expected: State) -> None:
    assert verdict(states) is expected
