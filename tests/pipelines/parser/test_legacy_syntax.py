"""Spellings older than Woodpecker 3.0: they run, with a warning."""

import pytest

from pipelines.plan import SecretRef
from tests.support.pipelines import (
    commands_of,
    container_of,
    job_of,
    names_of,
    plan_of,
    problems_of,
    pull_request,
    push,
    step_of,
    tag,
    value_of,
)

ONE = "steps: [{name: s, image: i, commands: x}]\n"


@pytest.mark.parametrize("path", [".headway.yml", ".woodpecker.yml"])
def test_the_legacy_key_pipeline_means_steps(path: str) -> None:
    text = "pipeline: {a: {image: i, commands: x}}"
    assert step_of(text, path=path).name == "a"
    assert problems_of(text, path=path) == ["1:1: warning: 'pipeline' is an old name; write 'steps'"]


def test_pipeline_beside_steps_is_an_unknown_key() -> None:
    assert problems_of(ONE + "pipeline: {}") == ["2:1: error: unknown key 'pipeline'; remove it"]


def test_secrets_of_a_step_become_environment() -> None:
    text = """
    steps:
      - name: s
        image: i
        commands: x
        environment: {KEPT: mine, OTHER: b}
        secrets: [Token, kept, {source: a_b, target: c_d}, {source: plain}]
    """
    container = container_of(step_of(text))
    secrets = {"TOKEN": "token", "C_D": "a_b", "PLAIN": "plain"}
    assert {name: container.environment[name] for name in secrets} == {
        name: (SecretRef(secret=secret),) for name, secret in secrets.items()
    }
    assert value_of(container, "KEPT") == "mine"
    assert value_of(container, "OTHER") == "b"
    assert problems_of(text) == [
        "6:5: warning: 'secrets' is an old key; write environment: {NAME: {from_secret: name}}"
    ]


def test_secrets_beside_an_old_list_of_environment() -> None:
    text = "steps: [{image: i, commands: x, environment: [A=b, C=d=e], secrets: [t]}]"
    container = container_of(step_of(text))
    assert (value_of(container, "A"), value_of(container, "C")) == ("b", "d=e")
    assert value_of(container, "T", {"t": "v"}) == "v"
    assert [problem.split(";")[0] for problem in problems_of(text)] == [
        "1:33: warning: 'environment' as a list is an old spelling",
        "1:60: warning: 'secrets' is an old key",
    ]


def test_environment_as_a_list() -> None:
    assert value_of(container_of(step_of("steps: [{image: i, commands: x, environment: [A=b]}]")), "A") == "b"
    (_, problem) = problems_of("steps: [{image: i, commands: x, environment: [A]}]")
    assert problem == "1:47: error: 'environment': an item of this list must be NAME=value; or write a map: NAME: value"


@pytest.mark.parametrize("item", ["[a]", "{source: [a]}", "{source: a, target: [b]}"])
def test_wrong_items_of_secrets_are_refused(item: str) -> None:
    problems = problems_of(f"steps: [{{image: i, commands: x, secrets: [{item}]}}]")
    assert problems[1].startswith("1:43: error: an item of 'secrets' is a name, or {source: name, target: NAME}")


def test_a_plugin_with_an_old_list_of_secrets_is_still_a_plugin() -> None:
    text = "steps: [{name: p, image: i, settings: {a: b}, secrets: [t]MORE}]"
    container = container_of(step_of(text.replace("MORE", "")))
    assert value_of(container, "DRONE_REPO") == "me/app"
    assert value_of(container, "T", {"t": "v"}) == "v"
    assert "DRONE_REPO" not in container_of(step_of(text.replace("MORE", ", environment: {C: d}"))).environment


@pytest.mark.parametrize(
    ("event", "runs"),
    [
        ("{exclude: pull_request}", (True, True, False)),
        ("{exclude: [push, promote]}", (False, True, True)),
        ("{include: [push, tag], exclude: tag}", (True, False, False)),
    ],
)
@pytest.mark.parametrize("form", ["{event: EVENT}", "[{event: EVENT}]"])
def test_events_with_include_and_exclude(event: str, runs: tuple[bool, ...], form: str) -> None:
    when = f"when: {form.replace('EVENT', event)}"
    for text in (f"{when}\n{ONE}", f"steps: [{{image: i, commands: x, {when}}}]"):
        assert tuple(bool(plan_of(text, trigger).jobs) for trigger in (push(), tag(), pull_request())) == runs
        assert "'event' with include and exclude is an old spelling; write event: [" in problems_of(text)[0]


def test_secrets_that_are_no_list_are_refused() -> None:
    (problem,) = problems_of("steps: [{image: i, commands: x, secrets: a}]")
    assert problem.startswith("1:42: error: 'secrets': {source: NAME, file: PATH} is wanted here, not a single value")


def test_a_platform_is_a_label() -> None:
    text = f"platform: linux/arm64\n{ONE}"
    assert job_of(text).labels == {"platform": "linux/arm64"}
    assert problems_of(text) == ["1:1: warning: 'platform' is an old key; write labels: {platform: linux/arm64}"]
    assert job_of(f"{text}labels: {{a: b}}").labels == {"a": "b", "platform": "linux/arm64"}


def test_a_platform_as_a_map_has_no_effect() -> None:
    text = f"platform: {{os: linux}}\n{ONE}"
    assert job_of(text).labels == {}
    assert problems_of(text)[0].startswith("1:1: warning: 'platform' as a map has no effect")


@pytest.mark.parametrize(
    "when",
    ["", "when: {event: push}\n", "when: [{event: push}]\n", "when: [{event: push, branch: '*'}, {event: tag}]\n"],
)
def test_branches_are_a_condition(when: str) -> None:
    text = f"branches: [main, dev]\n{when}{ONE}"
    assert names_of(text) == ["s"]
    assert problems_of(text) == ["1:1: warning: 'branches' is an old key; write when: {branch: ...}"]
    assert bool(plan_of(text, push("other")).jobs) is ("*" in when)


def test_branches_with_include_and_exclude() -> None:
    assert plan_of(f"branches: {{exclude: [main]}}\n{ONE}").jobs == ()


def test_secrets_of_a_workflow_have_no_effect() -> None:
    assert problems_of(f"secrets: [a]\n{ONE}") == [
        "1:1: warning: 'secrets' of a file has no effect; name them with from_secret"
    ]


def test_a_legacy_condition_that_is_not_a_map_is_reported() -> None:
    assert "'when': a map is wanted here" in problems_of(f"branches: main\nwhen: [x]\n{ONE}")[1]


def test_unknown_keys_are_warnings_in_woodpeckers_files_and_errors_in_ours() -> None:
    text = "steps: [{name: s, image: i, commands: x, comand: y}]\nkind: z"
    kind = "unknown key 'kind'; only Drone's pipelines have it; docs/using/coming-from.md says how to write them here"
    unknown = "unknown key 'comand' in step 's'; did you mean 'commands'?"
    assert problems_of(text, path=".woodpecker/x.yml") == [
        f"1:42: warning: {unknown}",
        f"2:1: warning: {kind}",
    ]
    assert problems_of(text) == [f"1:42: error: {unknown}", f"2:1: error: {kind}"]
    assert commands_of(step_of(text, path=".woodpecker/x.yml")) == ("x",)


def test_keys_that_are_not_supported_yet_are_reported() -> None:
    text = "steps: [{name: s, image: i, commands: x, deploy: [a]}]"
    assert problems_of(text) == [
        "1:42: error: 'deploy' in step 's' is not supported yet; remove it",
    ]
    assert problems_of(text, path=".woodpecker.yml")[0].startswith("1:42: warning: 'deploy'")
