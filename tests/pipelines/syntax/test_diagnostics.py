"""The collected problems of a file."""

from pipelines.syntax.diagnostics import PROBLEMS_COUNT_MAX, Diagnostics, Place


def test_problems_are_kept_up_to_the_limit_and_an_error_past_it_still_counts() -> None:
    diagnostics = Diagnostics("f")
    for number in range(1, PROBLEMS_COUNT_MAX):
        diagnostics.warning(Place(number, 1), "a warning")
    assert not diagnostics.full
    diagnostics.warning(Place(PROBLEMS_COUNT_MAX, 1), "the last")
    assert diagnostics.full
    assert not diagnostics.failed
    diagnostics.error(Place(PROBLEMS_COUNT_MAX + 1, 1), "one too many")
    assert diagnostics.failed
    assert [problem.message for problem in diagnostics.problems][-1] == "the last"
    assert len(diagnostics.problems) == PROBLEMS_COUNT_MAX
