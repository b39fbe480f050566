"""Runs that a user starts."""

import pytest

from pipelines.context import Context, RepoInfo
from pipelines.environment.variables import StepIdentity, step_environment
from pipelines.inputs import INPUTS_BYTES_MAX
from pipelines.trigger import Event
from workers.triggers.manual import InvalidRequestError, ManualRun, inputs_from, trigger_for

SHA = "0123456789abcdef0123456789abcdef01234567"


def test_by_default_it_runs_the_default_branch_whose_commit_git_knows() -> None:
    trigger = trigger_for(ManualRun(), "main", "ada")
    assert (trigger.event, trigger.ref, trigger.branch, trigger.sha) == (Event.MANUAL, "refs/heads/main", "main", "")
    assert trigger.sender == "ada"


def test_a_tag_has_no_branch() -> None:
    trigger = trigger_for(ManualRun(tag="v1"), "main", "ada")
    assert (trigger.ref, trigger.branch, trigger.tag) == ("refs/tags/v1", "", "v1")


@pytest.mark.parametrize("commit", [SHA, SHA[:7], f" {SHA.upper()} "])
def test_a_commit_may_be_abbreviated(commit: str) -> None:
    trigger = trigger_for(ManualRun(branch="topic", commit=commit), "main", "ada")
    assert SHA.startswith(trigger.sha)
    assert trigger.ref == "refs/heads/topic"


def test_a_deployment_has_a_target_and_may_have_a_task() -> None:
    asked = ManualRun(event=Event.DEPLOYMENT, target="production", task="migrate")
    trigger = trigger_for(asked, "main", "ada")
    assert (trigger.event, trigger.deploy_target, trigger.deploy_task) == (Event.DEPLOYMENT, "production", "migrate")


def test_inputs_reach_steps_with_commands_and_no_plugins() -> None:
    trigger = trigger_for(ManualRun(inputs={"TARGET": "staging", "EMPTY": ""}), "main", "ada")
    context = Context(RepoInfo("acme/roof", "file:///roof"))
    found = [
        step_environment(trigger, context, StepIdentity("a", kind, 1, "w", "/src")).get("TARGET")
        for kind in ("commands", "plugin")
    ]
    assert found == ["staging", None]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (ManualRun(branch="main", tag="v1"), "not of both"),
        (ManualRun(branch="a b"), "cannot be a branch"),
        (ManualRun(branch="refs/../x"), "cannot be a branch"),
        (ManualRun(branch="x" * 2000), "cannot be a branch"),
        (ManualRun(tag="v1^{}"), "cannot be a tag"),
        (ManualRun(tag="\udcff"), "cannot be shown"),
        (ManualRun(commit="HEAD"), "no commit id"),
        (ManualRun(commit="abc"), "no commit id"),
        (ManualRun(commit="--output"), "no commit id"),
        (ManualRun(event=Event.DEPLOYMENT), "needs a target"),
        (ManualRun(target="production"), "Only a deployment"),
        (ManualRun(event=Event.DEPLOYMENT, target="a\nb"), "The target must be a word or two"),
        (ManualRun(inputs={"a-b": "1"}), "cannot be an input"),
        (ManualRun(inputs={"1A": "1"}), "cannot be an input"),
        (ManualRun(inputs={"": "1"}), "cannot be an input"),
        (ManualRun(inputs={"CI_COMMIT_SHA": "1"}), "Headway's own"),
        (ManualRun(inputs={"PLUGIN_REPO": "1"}), "Headway's own"),
        (ManualRun(inputs={"A": "\0"}), "holds a NUL"),
        (ManualRun(inputs={"A": "\udc80"}), "no UTF-8"),
        (ManualRun(inputs={"A": "é" * (INPUTS_BYTES_MAX // 2)}), "the limit is 65,536"),
    ],
)
def test_an_invalid_request_is_refused_with_a_sentence(asked: ManualRun, why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why) as refused:
        trigger_for(asked, "main", "ada")
    assert str(refused.value).endswith(".")
    assert len(str(refused.value)) < 250


def test_lines_become_inputs() -> None:
    assert inputs_from(["A=1", "", " B = x=y "]) == {"A": "1", "B": " x=y "}
    with pytest.raises(InvalidRequestError, match="write NAME=VALUE"):
        inputs_from(["A"])
