"""Plugins that only wrap ``docker build`` are replaced by native steps."""

from collections.abc import Sequence

import pytest

from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.plan import BuildStep, BuiltImage, NamedImage, PluginStep, PushStep, SecretRef, Step
from pipelines.trigger import Trigger
from tests.support.pipelines import container_of, job_of, names_of, of_kind, plan_of, pull_request, push, tag

BUILDX = "woodpeckerci/plugin-docker-buildx"


def expanded(settings: str, trigger: Trigger | None = None, image: str = BUILDX, more: str = "") -> tuple[Step, ...]:
    text = f"steps: [{{name: publish, image: '{image}', settings: {settings}{more}}}]"
    return job_of(text, trigger).steps


def pushes(steps: Sequence[Step]) -> list[PushStep]:
    """The steps behind the first, which is the build."""
    return [of_kind(PushStep, step) for step in steps[1:]]


@pytest.mark.parametrize(
    "image",
    [
        BUILDX,
        f"docker.io/{BUILDX}:5.2.2",
        f"{BUILDX}@sha256:{'0' * 64}",
        f"r.example.org:5000/{BUILDX}:6",
        "woodpeckerci/plugin-kaniko:2.3.2",
        "plugins/docker",
        "docker.io/plugins/docker:20",
        "plugins/kaniko",
        "codeberg.org/woodpecker-plugins/docker-buildx",
        "thegeeklab/drone-docker-buildx:24",
    ],
)
def test_images_that_wrap_docker_build_are_known_by_name(image: str) -> None:
    assert [type(step) for step in expanded("{repo: a/b}", image=image)] == [BuildStep, PushStep]


@pytest.mark.parametrize("image", ["docker", "docker:27", "me/docker", "plugins/ecr", "me/buildx", "alpine"])
def test_other_images_are_not_replaced(image: str) -> None:
    assert [type(step) for step in expanded("{repo: a/b}", image=image)] == [PluginStep]


def test_all_settings_that_have_a_native_counterpart() -> None:
    settings = """{
        repo: [a/b, r.example.org/c/d], registry: "", username: me, password: {from_secret: PW}, tags: "1, 2", tag: x,
        dockerfile: docker/Dockerfile, context: src, target: prod, platforms: "linux/amd64,linux/arm64",
        build_args: [A=b, C=d=e], labels: [l=1], label: {m: 2}, custom_labels: n=3,
        cache_from: "type=registry\\\\\\\\,ref=x", cache_images: [r/cache], cache_to: type=inline,
        no_cache: true, pull_image: true, provenance: false}"""
    build, pushed = expanded(settings.replace("\n", " "))
    assert build == BuildStep(
        number=1,
        name="publish",
        context="src",
        dockerfile="docker/Dockerfile",
        dockerfile_else="src/docker/Dockerfile",
        target="prod",
        args={"A": "b", "C": "d=e"},
        labels={"l": "1", "m": "2", "n": "3"},
        platforms=("linux/amd64", "linux/arm64"),
        cache_from=("type=registry,ref=x", "type=registry,ref=r/cache"),
        cache_to=("type=inline",),
        no_cache=True,
        pull=True,
        names=("a/b:1", "a/b:2", "a/b:x", "r.example.org/c/d:1", "r.example.org/c/d:2", "r.example.org/c/d:x"),
    )
    assert pushed == PushStep(
        number=2,
        name="publish-push",
        needs=(1,),
        image=1,
        repos=("a/b", "r.example.org/c/d"),
        tags=("1", "2", "x"),
        username=("me",),
        password=(SecretRef(secret="pw"),),
    )


def test_a_registry_stands_before_the_repository() -> None:
    (pushed,) = pushes(expanded("{repo: c/d, registry: 'https://r.example.org'}"))
    assert pushed.repos == ("r.example.org/c/d",)


def test_keys_may_have_dashes_and_arguments_may_be_a_map() -> None:
    build, *_ = expanded("{repo: a/b, build-args: {V: 1.5, W: true}, dry-run: true}")
    assert of_kind(BuildStep, build).args == {"V": "1.5", "W": "true"}


@pytest.mark.parametrize("settings", ["{repo: a/b, dry_run: true}", "{repo: a/b, load: true}", "{tags: x}"])
def test_without_a_push_it_is_only_a_build(settings: str) -> None:
    assert [step.name for step in expanded(settings)] == ["publish"]


@pytest.mark.parametrize(
    ("settings", "trigger", "tags"),
    [
        ("{repo: a/b}", push(), ("latest",)),
        ("{repo: a/b, default_tag: next}", push(), ("next",)),
        ("{repo: a/b, auto_tag: true}", tag("v1.2.3"), ("1", "1.2", "1.2.3")),
        (
            "{repo: a/b, auto_tag: true, auto_tag_suffix: alpine}",
            tag("1.2.3"),
            ("1-alpine", "1.2-alpine", "1.2.3-alpine"),
        ),
        ("{repo: a/b, auto_tag: true, default_suffix: alpine}", push(), ("alpine",)),
        ("{repo: a/b, auto_tag: true, tags: [x]}", push(), ("x", "latest")),
        ("{repo: a/b, auto_tag: true, tags: [x]}", pull_request(), ("x",)),
        ("{repo: a/b, auto_tag: true}", push("dev"), None),
    ],
)
def test_tags(settings: str, trigger: Trigger, tags: tuple[str, ...] | None) -> None:
    found = pushes(expanded(settings, trigger))
    assert [step.tags for step in found] == ([] if tags is None else [tags])


def test_several_logins_are_several_pushes_each_with_its_own() -> None:
    settings = """{repo: [me/a, r.example.org/a, other.example.org/a], tags: x, username: u, logins: [
        {registry: "https://index.docker.io/v1/", username: hub, password: {from_secret: hub}},
        {registry: "https://r.example.org", username: r, password: {from_secret: r}}]}"""
    steps = expanded(settings.replace("\n", " "))
    assert steps[0].name == "publish"
    assert [(pushed.name, pushed.repos, pushed.username, pushed.password) for pushed in pushes(steps)] == [
        ("publish-push", ("me/a",), ("hub",), (SecretRef(secret="hub"),)),
        ("publish-push-2", ("r.example.org/a",), ("r",), (SecretRef(secret="r"),)),
        ("publish-push-3", ("other.example.org/a",), ("u",), ()),
    ]
    assert {pushed.image for pushed in pushes(steps)} == {1}


@pytest.mark.parametrize(
    "settings",
    [
        "{}",
        "{repo: {from_secret: r}}",
        "{repo: [{from_secret: r}]}",
        "{repo: a/b, registry: {from_secret: r}}",
        "{repo: a/b, build_args: {A: {from_secret: r}}}",
        "{repo: a/b, logins: {from_secret: r}}",
        "{repo: a/b, logins: [{registry: {from_secret: r}}]}",
        "{repo: a/b, tags_file: /etc/tags}",
        "{repo: a/b, tags_file: ../tags}",
        "{repo: a/b, build_args_from_env: [X]}",
        "{repo: a/b, build_args_from_env: [PLUGIN_PASSWORD]}",
        "{repo: a/b, build_args_from_env: [CI_STEP_NAME]}",
        "{repo: a/b, unheard_of: x}",
    ],
)
def test_a_plugin_with_a_setting_without_native_counterpart_runs_as_a_plugin(settings: str) -> None:
    assert [type(step) for step in expanded(settings)] == [PluginStep]


def test_a_name_in_capitals_becomes_one_that_registries_take() -> None:
    (pushed,) = pushes(expanded("{repo: 'codeberg.org/Me/App', tags: x}"))
    assert pushed.repos == ("codeberg.org/me/app",)


def test_tags_from_a_file_replace_the_others_and_join_the_automatic_ones() -> None:
    (pushed,) = pushes(expanded("{repo: a/b, tags: x, tags_file: [.tags]}"))
    assert (pushed.tags, pushed.tags_file) == ((), ".tags")
    (pushed,) = pushes(expanded("{repo: a/b, auto_tag: true, tags_file: out/tags}"))
    assert (pushed.tags, pushed.tags_file) == (("latest",), "out/tags")


def test_old_lists_of_secrets_are_its_credentials() -> None:
    secrets = ", secrets: [docker_username, {source: pw, target: plugin_password}]"
    (pushed,) = pushes(expanded("{repo: a/b, username: ''}", more=secrets))
    assert (pushed.username, pushed.password) == ((SecretRef(secret="docker_username"),), (SecretRef(secret="pw"),))
    environment = ", environment: {DOCKER_USERNAME: x, DOCKER_REGISTRY: r.example.org}"
    (pushed,) = pushes(expanded("{repo: a/b, username: me}", more=environment))
    assert (pushed.username, pushed.repos) == (("me",), ("r.example.org/a/b",))


def test_build_arguments_from_the_environment() -> None:
    settings = "{repo: a/b, build_args: [A=b], build_args_from_env: [CI_COMMIT_BRANCH, CI_COMMIT_TAG, OWN, A]}"
    build, *_ = expanded(settings, more=", environment: {OWN: mine, A: c}")
    assert of_kind(BuildStep, build).args == {"CI_COMMIT_BRANCH": "main", "OWN": "mine", "A": "b"}
    secret = expanded("{repo: a/b, build_args_from_env: [T]}", more=", environment: {T: {from_secret: t}}")
    assert [type(step) for step in secret] == [PluginStep]


def test_the_push_of_a_plugin_in_a_legacy_group_waits_for_its_build() -> None:
    text = f"""
    steps:
      one: {{image: {BUILDX}, group: g, settings: {{repo: a/one}}}}
      two: {{image: {BUILDX}, group: g, settings: {{repo: a/two}}}}
      last: {{image: i, commands: x}}
    """
    assert [(step.name, step.needs) for step in job_of(text).steps] == [
        ("one", ()),
        ("one-push", (1,)),
        ("two", ()),
        ("two-push", (3,)),
        ("last", (1, 2, 3, 4)),
    ]


@pytest.mark.parametrize(
    ("image", "settings", "reason"),
    [
        (BUILDX, "{repo: a/b, config: x}", "'config' is no setting of a build or push here"),
        (BUILDX, "{repo: {from_secret: r}}", "the secret in 'repo' would have to be known before it starts"),
        (BUILDX, "{repo: a/b, tags_file: /x}", "'tags_file' is not in the checkout"),
        (BUILDX, "{repo: a/b, build_args_from_env: X}", "the variable 'X' of 'build_args_from_env' is known only to"),
        (BUILDX, "{repo: a/b}", ""),
        ("plugins/kaniko", "{repo: a/b, config: x}", ""),
    ],
)
def test_lint_says_why_a_plugin_would_start_a_docker_of_its_own(image: str, settings: str, reason: str) -> None:
    text = f"steps: [{{name: p, image: '{image}:1', settings: {settings}}}]"
    problems = [str(found) for found in lint_files([PipelineFile(".woodpecker.yml", text.encode())])]
    warned = [problem for problem in problems if "runs the plugin itself, which starts a Docker" in problem]
    assert [reason in problem for problem in warned] == ([True] if reason else [])


def test_conditions_and_failures_are_those_of_the_step() -> None:
    more = ", when: {event: push, status: [success, failure]}, failure: ignore, timeout: 5m"
    for step in expanded("{repo: a/b}", more=more):
        assert (step.on_failure, step.failure, step.timeout_s) == (True, "ignore", 300)
    assert plan_of(f"steps: [{{name: p, image: {BUILDX}, settings: {{repo: a/b}}, when: {{event: tag}}}}]").jobs == ()


def test_a_step_that_depends_on_the_plugin_waits_for_its_push_too() -> None:
    text = f"""
    steps:
      test: {{image: i, commands: x}}
      publish: {{image: {BUILDX}, settings: {{repo: a/b}}, depends_on: [test]}}
      deploy: {{image: i, commands: x, depends_on: [publish]}}
    """
    assert [(step.name, step.needs) for step in job_of(text).steps] == [
        ("test", ()),
        ("publish", (1,)),
        ("publish-push", (1, 2)),
        ("deploy", (2, 3)),
    ]


def test_in_a_graph_its_push_waits_only_for_its_build() -> None:
    text = f"""
    steps:
      test: {{image: i, commands: x, depends_on: []}}
      publish: {{image: {BUILDX}, settings: {{repo: a/b}}}}
    """
    assert [(step.name, step.needs) for step in job_of(text).steps] == [
        ("test", ()),
        ("publish", ()),
        ("publish-push", (2,)),
    ]


def test_a_step_that_names_the_image_runs_in_the_one_just_built() -> None:
    text = """
    steps:
      build: {image: plugins/docker, settings: {repo: app-ci, tags: "${CI_COMMIT_SHA}", load: true}}
      test: {image: "app-ci:${CI_COMMIT_SHA}", commands: x}
      other: {image: "app-ci:latest", commands: x}
    """
    _, test, other = job_of(text).steps
    assert container_of(test).image == BuiltImage(step=1)
    assert container_of(test).directory == "/headway/src"
    assert of_kind(NamedImage, container_of(other).image).name == "app-ci:latest"


def test_two_plugins_have_builds_of_their_own() -> None:
    text = f"""
    steps:
      one: {{image: {BUILDX}, settings: {{repo: a/one}}}}
      two: {{image: {BUILDX}, settings: {{repo: a/two}}}}
    """
    steps = job_of(text).steps
    assert names_of(text) == ["one", "one-push", "two", "two-push"]
    assert (of_kind(PushStep, steps[1]).image, of_kind(PushStep, steps[3]).image) == (1, 3)


def test_with_an_entrypoint_of_its_own_it_is_not_replaced() -> None:
    text = f"steps: [{{name: p, image: {BUILDX}, entrypoint: [sh]}}]"
    assert isinstance(job_of(text).steps[0], PluginStep)
