"""The order of a job's steps."""

from pipelines.step_order import ancestors


def test_the_ancestors_of_a_step_are_all_steps_that_must_have_ended_before_it() -> None:
    assert ancestors({1: (), 2: (1,), 3: (2,), 4: ()}) == {1: set(), 2: {1}, 3: {1, 2}, 4: set()}
