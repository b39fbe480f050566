"""The CI_* variables."""

import json

import pytest

from pipelines.context import Context, RepoInfo, Trust, forge_url_of
from pipelines.environment.variables import (
    PreviousRun,
    StepIdentity,
    previous_variables,
    run_variables,
    step_environment,
)
from pipelines.state import State
from pipelines.trigger import Event, Trigger, skip_ci
from tests.support.pipelines import SHA, event, pull_request, push, tag

CONTEXT = Context(
    RepoInfo(
        "group/sub/app",
        "https://git.example.org/app.git",
        web_url="https://git.example.org/app",
        private=True,
        forge="gitea",
        forge_url="https://git.example.org",
        trust=Trust(network=True),
    ),
    run_number=12,
    run_url="https://ci.example.org/runs/12",
    parent_number=11,
    created_s=1700000000,
    system_url="https://ci.example.org",
    system_host="ci.example.org",
    system_version="1.0",
    previous={"CI_PREV_COMMIT_SHA": "f" * 40, "CI_PREV_PIPELINE_STATUS": "failure"},
)
STEP = StepIdentity("test", "commands", 3, "build", "/headway/src", {"GO": "1.25"})
PLUGIN = StepIdentity("test", "plugin", 3, "build", "/headway/src", {"GO": "1.25"})


def test_a_step_knows_its_run() -> None:
    trigger = push(
        message="Fix it\n\nWell",
        author="Ann",
        author_email="ann@example.org",
        sender="bob",
        timestamp_s=5,
        url="https://c",
    )
    found = step_environment(trigger, CONTEXT, STEP)
    expected = {
        "CI": "headway",
        "CI_SYSTEM_NAME": "headway",
        "CI_REPO": "group/sub/app",
        "CI_REPO_OWNER": "group/sub",
        "CI_REPO_NAME": "app",
        "CI_REPO_PRIVATE": "true",
        "CI_REPO_TRUSTED": "false",
        "CI_REPO_TRUSTED_NETWORK": "true",
        "CI_COMMIT_SHA": SHA,
        "CI_COMMIT_REF": "refs/heads/main",
        "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_MESSAGE": "Fix it\n\nWell",
        "CI_COMMIT_AUTHOR": "Ann",
        "CI_COMMIT_AUTHOR_EMAIL": "ann@example.org",
        "CI_COMMIT_TIMESTAMP": "5",
        "CI_PIPELINE_NUMBER": "12",
        "CI_PIPELINE_PARENT": "11",
        "CI_PIPELINE_EVENT": "push",
        "CI_PIPELINE_URL": "https://ci.example.org/runs/12",
        "CI_PIPELINE_FORGE_URL": "https://c",
        "CI_PIPELINE_CREATED": "1700000000",
        "CI_PIPELINE_FILES": "[]",
        "CI_PIPELINE_AUTHOR": "bob",
        "CI_PREV_COMMIT_SHA": "f" * 40,
        "CI_PREV_PIPELINE_STATUS": "failure",
        "CI_WORKFLOW_NAME": "build",
        "CI_STEP_NAME": "test",
        "CI_STEP_TYPE": "commands",
        "CI_STEP_NUMBER": "3",
        "CI_WORKSPACE": "/headway/src",
        "CI_SYSTEM_HOST": "ci.example.org",
        "CI_SYSTEM_VERSION": "1.0",
        "CI_SYSTEM_PLATFORM": "linux/amd64",
        "CI_FORGE_TYPE": "gitea",
        "GO": "1.25",
    }
    assert {name: found.get(name) for name in expected} == expected


def test_the_run_before_gives_variables_of_its_own() -> None:
    trigger = pull_request("main", "topic", message="Fix", author="Ann", url="https://c", timestamp_s=5)
    found = previous_variables(PreviousRun(trigger, CONTEXT, State.FAILED, 1_700_000_001, 1_700_000_009))
    expected = {
        "CI_PREV_COMMIT_SHA": SHA,
        "CI_PREV_COMMIT_REF": "refs/pull/12/head",
        "CI_PREV_COMMIT_REFSPEC": "topic:main",
        "CI_PREV_COMMIT_BRANCH": "main",
        "CI_PREV_COMMIT_URL": "https://c",
        "CI_PREV_COMMIT_MESSAGE": "Fix",
        "CI_PREV_COMMIT_AUTHOR": "Ann",
        "CI_PREV_PIPELINE_NUMBER": "12",
        "CI_PREV_PIPELINE_EVENT": "pull_request",
        "CI_PREV_PIPELINE_URL": "https://ci.example.org/runs/12",
        "CI_PREV_PIPELINE_STATUS": "failure",
        "CI_PREV_PIPELINE_STARTED": "1700000001",
        "CI_PREV_PIPELINE_FINISHED": "1700000009",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found.keys() == {name for name in run_variables(push(), CONTEXT) if name.startswith("CI_PREV_")}


@pytest.mark.parametrize(
    ("address", "name", "forge"),
    [
        ("https://git.example.org/team/app", "team/app", "https://git.example.org"),
        ("https://ann:pw@git.example.org:3000/team/app.git", "team/app", "https://git.example.org:3000"),
        ("https://example.org/git/team/app.git", "team/app", "https://example.org/git"),
        ("http://example.org/team/app.git", "app", "http://example.org/team"),
        ("git@git.example.org:team/app.git", "team/app", "https://git.example.org"),
        ("ssh://git@git.example.org:2222/team/app.git", "team/app", "https://git.example.org"),
        ("/srv/app.git", "app", ""),
        ("file:///srv/app.git", "app", ""),
    ],
)
def test_the_forge_of_a_repository(address: str, name: str, forge: str) -> None:
    assert forge_url_of(address, name) == forge


def test_variables_without_a_value_and_those_of_the_runner_are_not_set() -> None:
    found = step_environment(push(), CONTEXT, STEP)
    assert all(found.values())
    assert {"CI_COMMIT_TAG", "CI_PIPELINE_STATUS", "CI_STEP_STARTED", "CI_PIPELINE_STARTED"}.isdisjoint(found)


def test_a_tag() -> None:
    found = run_variables(tag("v1.0"), CONTEXT)
    assert (found["CI_COMMIT_TAG"], found["CI_COMMIT_BRANCH"]) == ("v1.0", "")
    named_by_ref = Trigger(event=Event.RELEASE, sha=SHA, ref="refs/tags/v2", release_title="Two", prerelease=True)
    found = run_variables(named_by_ref, CONTEXT)
    assert (found["CI_COMMIT_TAG"], found["CI_PIPELINE_RELEASE_TITLE"]) == ("v2", "Two")
    assert (found["CI_PIPELINE_RELEASE_PRE"], found["CI_COMMIT_PRERELEASE"]) == ("true", "true")


def test_a_pull_request() -> None:
    found = run_variables(pull_request("main", "topic"), CONTEXT)
    assert {name.removeprefix("CI_COMMIT_"): value for name, value in found.items() if "PULL" in name} == {
        "PULL_REQUEST": "12",
        "PULL_REQUEST_LABELS": "bug,ci",
        "PULL_REQUEST_MILESTONE": "",
        "PULL_REQUEST_DRAFT": "false",
    }
    assert found["CI_COMMIT_REFSPEC"] == "topic:main"
    assert (found["CI_COMMIT_SOURCE_BRANCH"], found["CI_COMMIT_TARGET_BRANCH"]) == ("topic", "main")
    assert run_variables(push(), CONTEXT)["CI_COMMIT_PULL_REQUEST"] == ""


def test_the_changed_files_are_json_unless_there_are_too_many() -> None:
    files = ('a "b".py', "ü")
    assert json.loads(run_variables(push(changed_files=files), CONTEXT)["CI_PIPELINE_FILES"]) == list(files)
    many = tuple(str(number) for number in range(501))
    assert run_variables(push(changed_files=many), CONTEXT)["CI_PIPELINE_FILES"] == ""
    unlisted = push(changed_files=(), too_many_changed=True)
    assert run_variables(unlisted, CONTEXT)["CI_PIPELINE_FILES"] == ""


def test_a_deployment() -> None:
    found = run_variables(event("deployment", deploy_target="prod", deploy_task="t"), CONTEXT)
    assert (found["CI_PIPELINE_DEPLOY_TARGET"], found["CI_PIPELINE_DEPLOY_TASK"]) == ("prod", "t")


def test_a_plugin_gets_drones_variables_but_not_the_inputs_of_a_manual_run() -> None:
    trigger = push(inputs={"TARGET": "prod"})
    found = step_environment(trigger, CONTEXT, PLUGIN)
    assert found["DRONE_COMMIT_REF"] == "refs/heads/main"
    assert found["DRONE_REPO_BRANCH"] == "main"
    assert found["DRONE_COMMIT_BEFORE"] == "f" * 40
    assert found["DRONE_BUILD_NUMBER"] == "12"
    assert found["DRONE_PULL_REQUEST"] == found["PULLREQUEST_DRONE_PULL_REQUEST"] == "0"
    assert (found["DRONE_BUILD_STATUS"], found["DRONE_REPO_SCM"], found["DRONE_STEP_NUMBER"]) == ("success", "git", "3")
    assert {"TARGET", "GO"}.isdisjoint(found)
    commands = step_environment(trigger, CONTEXT, STEP)
    assert commands["TARGET"] == "prod"
    assert not any(name.startswith("DRONE_") for name in commands)


def test_a_plugin_knows_the_number_of_the_pull_request() -> None:
    assert step_environment(pull_request(), CONTEXT, PLUGIN)["DRONE_PULL_REQUEST"] == "12"


def test_inputs_of_a_manual_run_cannot_override_variables_of_the_run() -> None:
    assert step_environment(push(inputs={"CI_COMMIT_SHA": "x"}), CONTEXT, STEP)["CI_COMMIT_SHA"] == SHA


def test_an_ssh_clone_url_is_in_its_own_variable() -> None:
    ssh = Context(RepoInfo("a/b", "git@example.org:a/b.git"))
    assert run_variables(push(), ssh)["CI_REPO_CLONE_SSH_URL"] == "git@example.org:a/b.git"
    assert run_variables(push(), CONTEXT)["CI_REPO_CLONE_SSH_URL"] == ""


@pytest.mark.parametrize(
    ("trigger", "skipped"),
    [
        (push(message="Docs [skip ci]"), True),
        (push(message="Docs [CI SKIP]"), True),
        (push(message="[ci  skip]\n"), True),
        (push(message="[skipci]"), True),
        (push(message="skip ci"), False),
        (push(message="[no ci]"), False),
        (pull_request(message="[skip ci]"), True),
        (tag(message="[skip ci]"), False),
        (event("manual", message="[skip ci]"), False),
    ],
)
def test_skip_ci_in_a_commit_message_skips_the_run(trigger: Trigger, skipped: bool) -> None:
    assert skip_ci(trigger) is skipped


@pytest.mark.parametrize("kind", ["commands", "plugin", "service"])
def test_an_axis_takes_the_place_of_a_variable_of_its_name(kind: str) -> None:
    step = StepIdentity("test", kind, 3, "build", "/headway/src", {"CI_COMMIT_BRANCH": "a", "CI_COMMIT_MESSAGE": ""})
    found = step_environment(push(inputs={"CI_COMMIT_BRANCH": "x"}), CONTEXT, step)
    assert found["CI_COMMIT_BRANCH"] == "a"
    assert found.get("DRONE_BRANCH") == ("a" if kind == "plugin" else None)
    assert "CI_COMMIT_MESSAGE" not in found
    assert found["CI_COMMIT_SHA"] == SHA
