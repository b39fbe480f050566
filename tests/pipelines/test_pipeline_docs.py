"""Every example in docs/pipeline.md runs, and its tables are complete."""

import re
from pathlib import Path

import pytest

from pipelines.condition import Condition
from pipelines.environment import run_variables
from pipelines.expression import _COMPARISONS, _FUNCTIONS
from pipelines.model import Build, BuildStep, CommandsStep, Push, ReadyCheck, Service, Workflow
from pipelines.trigger import Event
from tests.pipelines.making import TRUSTED, event, plan_of, problems_of, pull_request, push, tag

TEXT = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text(encoding="utf-8")
GOOD = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
WRONG = re.findall(r"```yaml error\n(.*?)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)


def test_the_page_has_examples():
    assert len(GOOD) > 10
    assert len(WRONG) == 1


@pytest.mark.parametrize("example", GOOD)
@pytest.mark.parametrize("trigger", [push(), tag(), pull_request(), event("manual")])
def test_every_example_compiles_without_a_word(example, trigger):
    assert problems_of(example, trigger, TRUSTED) == []


@pytest.mark.parametrize("example", GOOD)
def test_every_example_does_something_for_a_push(example):
    assert plan_of(example, push()).jobs or "evaluate" in example


@pytest.mark.parametrize(("example", "expected"), WRONG)
def test_every_mistake_is_told_as_the_page_says(example, expected):
    assert [f".headway.yml:{problem}" for problem in problems_of(example)] == expected.splitlines()


@pytest.mark.parametrize("model", [Workflow, CommandsStep, BuildStep, Build, Push, Service, Condition, ReadyCheck])
def test_every_key_is_named(model):
    said_elsewhere = {"schema_", "runs_on", "concurrency", "group", "ports", "name"}
    missing = {
        name for name in set(model.model_fields) - said_elsewhere if f"`{name}`" not in TEXT and f"{name}:" not in TEXT
    }
    assert missing == set()


def test_every_event_variable_comparison_and_function_is_named():
    rarely = ("CI_PREV_", "CI_REPO_TRUSTED", "CI_REPO_REMOTE_ID", "CI_COMMIT_AUTHOR_AVATAR", "CI_COMMIT_PRERELEASE")
    rarely += ("CI_PIPELINE_EVENT_REASON", "CI_PIPELINE_AVATAR", "CI_PIPELINE_RERUNS", "CI_REPO_CLONE_SSH_URL")
    words = {*Event, *(name for name in run_variables(push(), TRUSTED) if not name.startswith(rarely))}
    assert {word for word in words | set(_COMPARISONS) | set(_FUNCTIONS) if f"`{word}`" not in TEXT} == set()
