"""Unknown values: errors in Headway's files; in Woodpecker's, warnings that match nothing."""

import pytest

from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from tests.support.pipelines import plan_of, problems_of, push, step_of, tag

ONE = "steps: [{name: s, image: 'i:1', commands: x}]"


def lint(text: str, path: str = ".woodpecker.yml") -> list[str]:
    return [str(found).removeprefix(f"{path}:") for found in lint_files([PipelineFile(path, text.encode())])]


def step(more: str) -> str:
    return f"steps: [{{name: s, image: 'i:1', commands: x, {more}}}]"


@pytest.mark.parametrize(
    ("when", "pushed", "tagged"),
    [
        ("{event: [push, custom]}", True, False),
        ("{event: custom}", False, False),
        ("{event: custom, evaluate: 'true'}", False, False),
        ("[{event: custom}, {event: tag}]", False, True),
        ("{status: changed}", False, False),
        ("{event: push, status: [changed, success]}", True, False),
    ],
)
def test_an_event_that_does_not_exist_never_happens(when: str, pushed: bool, tagged: bool) -> None:
    for text in (step(f"when: {when}"), f"when: {when}\n{ONE}"):
        runs = [bool(plan_of(text, trigger, path=".woodpecker.yml").jobs) for trigger in (push(), tag())]
        assert runs == [pushed, tagged]
        assert "error" in problems_of(text)[0]


def test_the_warning_says_what_to_write() -> None:
    assert lint(f"when: {{event: [push, promote, pull_request_merged]}}\n{ONE}") == [
        "1:22: warning: 'promote' is not an event and never happens; did you mean 'deployment'?",
        "1:31: warning: 'pull_request_merged' is not an event and never happens; did you mean 'pull_request_closed'?",
    ]
    assert lint(step("when: {status: [failure, aborted]}")) == [
        "1:71: warning: 'aborted' is not an outcome that a step can wait for; they are success, failure, canceled"
    ]


def test_an_unknown_value_of_failure_counts_as_fail() -> None:
    assert step_of(step("failure: allow"), path=".woodpecker.yml").failure == "fail"
    assert lint(step("failure: allow")) == [
        "1:55: warning: 'allow' is not a value of 'failure' and counts as 'fail'; the values are fail, ignore, cancel"
    ]
    assert "error" in problems_of(step("failure: allow"))[0]


def test_a_timeout_without_a_unit_has_no_effect_in_woodpeckers_files() -> None:
    text = f"timeout: 60\n{step('timeout: 30')}"
    assert (
        plan_of(text, path=".woodpecker.yml").jobs[0].timeout_s,
        step_of(text, path=".woodpecker.yml").timeout_s,
    ) == (
        None,
        None,
    )
    hint = "write for example 90s, 10m or 1h30m"
    assert lint(text) == [
        f"1:10: warning: '60' is not a time and has no effect; {hint}",
        f"2:55: warning: '30' is not a time and has no effect; {hint}",
    ]
    assert "error" in problems_of(text)[0]


def test_a_value_that_is_not_a_scalar_is_still_an_error() -> None:
    assert "error" in lint(step("when: {event: [[push]]}"))[0]
    assert "error" in lint(step("when: text"))[0]
