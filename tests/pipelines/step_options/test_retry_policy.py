"""After which outcomes a step runs again, and what the key ``retry`` may say."""

import pytest

from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.step_options.retry_policy import BACKOFF_SECONDS_MAX, EXIT_STATUS_MAX, FURTHER_ATTEMPTS_MAX, Retry
from tests.support.pipelines import plan_of, problems_of, step_of

EXITED = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 75", 75)
LATE = Outcome(State.FAILED, Reason.TIMEOUT, "timed out after 1 s")
BROKEN = Outcome(State.BROKEN, Reason.ENGINE_GONE, "the engine went away")


def step(retry: str, more: str = "") -> str:
    return f"steps: [{{name: s, image: i, commands: x, retry: {retry}{more}}}]"


@pytest.mark.parametrize("outcome", [EXITED, LATE, BROKEN])
def test_without_classes_every_failure_counts(outcome: Outcome) -> None:
    assert Retry(attempts=1).covers(outcome)


def test_each_class_covers_its_own_outcomes_and_no_other() -> None:
    covered = {
        name: [Retry(attempts=1, on=(name,)).covers(outcome) for outcome in (BROKEN, LATE, EXITED)]
        for name in ("broken", "timeout", "failed")
    }
    assert covered == {"broken": [True, False, False], "timeout": [False, True, False], "failed": [False, False, True]}


def test_an_exit_status_covers_that_status_alone() -> None:
    only = Retry(attempts=1, on=(), exit_codes=(75,))
    assert only.covers(EXITED)
    assert not only.covers(Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 74", 74))
    assert not only.covers(LATE)


@pytest.mark.parametrize(
    "outcome",
    [
        PASSED,
        Outcome(State.CANCELED, Reason.CANCELED),
        Outcome(State.SKIPPED, Reason.CONDITION),
        Outcome(State.BROKEN, Reason.DISK_FULL),
        Outcome(State.FAILED, Reason.SECRET_MISSING),
        Outcome(State.FAILED, Reason.BAD_COMMAND, exit_code=127),
    ],
)
def test_what_another_attempt_cannot_change_never_counts(outcome: Outcome) -> None:
    assert not Retry(attempts=1, exit_codes=(127,)).covers(outcome)


def test_a_number_is_that_many_further_attempts() -> None:
    assert step_of(step("2")).retry == Retry(attempts=2)


def test_a_map_says_after_what_and_when() -> None:
    found = step_of(step("{attempts: 3, on: [75, timeout, broken, 75], backoff: 10s}")).retry
    assert found == Retry(attempts=3, on=("broken", "timeout"), exit_codes=(75,), backoff_s=10)
    assert str(found) == "retry 3 times on broken, timeout, exit status 75 after 10 s"
    one = step_of(step("{on: timeout}")).retry
    assert (one, str(one)) == (Retry(attempts=1, on=("timeout",)), "retry once on timeout")


def test_no_attempt_is_no_retry() -> None:
    assert step_of(step("0")).retry is None
    assert step_of("steps: [{name: s, image: i, commands: x}]").retry is None


def test_builds_and_pushes_have_it_too_also_those_of_plugins() -> None:
    text = "steps: {b: {build: ., retry: 1}, p: {push: {repo: h/o/a, tags: x}, retry: 2}}"
    assert [found.retry for found in plan_of(text).jobs[0].steps] == [Retry(attempts=1), Retry(attempts=2)]
    wrapped = "steps: {b: {image: plugins/docker, settings: {repo: h/o/a, tags: x}, retry: 3}}"
    assert [found.retry for found in plan_of(wrapped).jobs[0].steps] == [Retry(attempts=3)] * 2


@pytest.mark.parametrize(
    "most", [str(FURTHER_ATTEMPTS_MAX), f"{{backoff: {BACKOFF_SECONDS_MAX}s}}", f"{{on: {EXIT_STATUS_MAX}}}"]
)
def test_the_limits_are_within(most: str) -> None:
    assert step_of(step(most)).retry is not None


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (str(FURTHER_ATTEMPTS_MAX + 1), "a step has at most 10 further attempts"),
        (f"{{backoff: {BACKOFF_SECONDS_MAX + 1}s}}", "the time between two attempts is at most an hour (1h)"),
        (f"{{on: {EXIT_STATUS_MAX + 1}}}", "'256' is no outcome that a step can run again after"),
        ("{on: [0]}", "'0' is no outcome that a step can run again after"),
        ("{on: [canceled]}", "'canceled' is no outcome that a step can run again after"),
        ("{on: [{a: b}]}", "a text is wanted here"),
        ("-1", "a whole number is wanted here, not '-1'"),
        ("always", "a whole number is wanted here, not 'always'"),
        ("[2]", "a number of further attempts, or {attempts: 2, on: [broken, timeout], backoff: 10s}, is wanted here"),
        ("{max: 2}", "unknown key 'max'"),
    ],
)
def test_a_wrong_value_has_its_place_and_says_what_is_valid(written: str, message: str) -> None:
    (problem,) = problems_of(step(written))
    assert message in problem
    assert problem.startswith("1:")


def test_an_empty_list_of_outcomes_is_an_error() -> None:
    assert len(problems_of(step("{on: []}"))) == 1


def test_a_detached_step_does_not_run_again() -> None:
    (problem,) = problems_of(step("2", ", detach: true"))
    assert "'retry' does not go with 'detach' in step 's': how it ends does not count" in problem
    assert "remove one of them" in problem


def test_the_checkout_retries_by_itself_and_says_that_retry_has_no_effect() -> None:
    text = "clone: [{name: c, image: woodpeckerci/plugin-git, retry: 2}]\nsteps: [{name: s, image: i, commands: x}]"
    (problem,) = problems_of(text)
    assert "warning: 'retry' of the checkout has no effect: it retries by itself; remove it" in problem
