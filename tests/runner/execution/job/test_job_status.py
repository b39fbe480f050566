"""The status of earlier workflows and steps: which steps run, which variables they get, why others are skipped."""

import pytest

from pipelines.plan import Step
from pipelines.state import Outcome, Reason, State
from runner.execution.job.job_status import JobStatus
from tests.support.pipelines import job_of

CONDITIONS = ["", "{event: push}", "success", "failure", "[success, failure]", "[failure, canceled]"]


def step_with(when: str) -> Step:
    named = f"{{status: {when}}}" if when[:1] not in {"", "{"} and ": " not in when else when
    (step,) = job_of(f"steps:\n  - image: i\n    commands: x\n    when: {named}").steps
    return step


def status(needs: str = "", steps: str = "", canceled: str = "") -> JobStatus:
    made = JobStatus(needs.split())
    made.failed_steps += steps.split()
    made.cancel_message = canceled
    return made


@pytest.mark.parametrize(
    ("before", "word", "runs"),
    [
        (status(), "success", [True, True, True, False, True, False]),
        (status(steps="a"), "failure", [False, False, False, True, True, True]),
        # The workflow itself decided that it runs after the failure: only a step that names a status is asked again.
        (status(needs="w"), "failure", [True, True, False, True, True, True]),
        (status(needs="w", steps="a"), "failure", [False, False, False, True, True, True]),
        (status(canceled="canceled by x"), "canceled", [False, False, False, False, False, True]),
        (status(steps="a", canceled="canceled by x"), "failure", [False, False, False, False, False, True]),
    ],
)
def test_which_steps_run(before: JobStatus, word: str, runs: list[bool]) -> None:
    assert before.word == word
    assert [before.will_run(step_with(when)) for when in CONDITIONS] == runs


def test_of_several_conditions_the_one_without_a_status_follows_the_workflow() -> None:
    assert status(needs="w").will_run(step_with("[{status: success}, {event: push}]"))
    assert not status(needs="w").will_run(step_with("[{status: success}, {event: tag}]"))


@pytest.mark.parametrize(
    ("before", "when", "reason", "message"),
    [
        (status(), "failure", Reason.CONDITION, "it runs only after a failure (`when: status`)"),
        (status(), "canceled", Reason.CONDITION, "it runs only after a cancellation (`when: status`)"),
        (status(steps="unit"), "", Reason.DEPENDENCY_FAILED, "step 'unit' failed"),
        (status(steps="a b"), "", Reason.DEPENDENCY_FAILED, "steps 'a', 'b' failed"),
        (status(steps="a b c d e"), "", Reason.DEPENDENCY_FAILED, "steps 'a', 'b', 'c' and 2 more failed"),
        (status(steps="a"), "canceled", Reason.CONDITION, "it runs only after a cancellation (`when: status`)"),
        (
            status(needs="build"),
            "success",
            Reason.CONDITION,
            "it runs only after success (`when: status`), and workflow 'build' did not pass",
        ),
        (status(canceled="canceled by ann"), "", Reason.CANCELED, "the run was canceled by ann"),
    ],
)
def test_a_skipped_step_is_told_why(before: JobStatus, when: str, reason: Reason, message: str) -> None:
    assert before.skipped(step_with(when)) == Outcome(State.SKIPPED, reason, message)
