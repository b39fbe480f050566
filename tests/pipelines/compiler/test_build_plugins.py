"""Plugin images that only wrap ``docker build`` run as native steps (WOODPECKER_WORKFLOWS section 10)."""

import pytest

from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.plan import BuildStep, BuiltImage, PluginStep, PushStep, SecretRef
from tests.support.pipelines import job_of, names_of, plan_of, pull_request, push, tag

BUILDX = "woodpeckerci/plugin-docker-buildx"


def wrapped(settings, trigger=None, image=BUILDX, more=""):
    text = f"steps: [{{name: publish, image: '{image}', settings: {settings}{more}}}]"
    return job_of(text, trigger).steps


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
def test_images_that_wrap_docker_build_are_known_by_name(image):
    assert [type(step) for step in wrapped("{repo: a/b}", image=image)] == [BuildStep, PushStep]


@pytest.mark.parametrize("image", ["docker", "docker:27", "me/docker", "plugins/ecr", "me/buildx", "alpine"])
def test_other_images_are_left_alone(image):
    assert [type(step) for step in wrapped("{repo: a/b}", image=image)] == [PluginStep]


def test_all_settings_that_have_a_native_counterpart():
    settings = """{
        repo: [a/b, r.example.org/c/d], registry: "", username: me, password: {from_secret: PW}, tags: "1, 2", tag: x,
        dockerfile: docker/Dockerfile, context: src, target: prod, platforms: "linux/amd64,linux/arm64",
        build_args: [A=b, C=d=e], labels: [l=1], label: {m: 2}, custom_labels: n=3,
        cache_from: "type=registry\\\\\\\\,ref=x", cache_images: [r/cache], cache_to: type=inline,
        no_cache: true, pull_image: true, provenance: false}"""
    build, pushed = wrapped(settings.replace("\n", " "))
    assert build == BuildStep(
        number=1,
        name="publish",
        context="src",
        dockerfile="docker/Dockerfile",
        target="prod",
        args={"A": "b", "C": "d=e"},
        labels={"l": "1", "m": "2", "n": "3"},
        platforms=("linux/amd64", "linux/arm64"),
        cache_from=("type=registry,ref=x", "type=registry,ref=r/cache"),
        cache_to=("type=inline",),
        no_cache=True,
        pull=True,
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


def test_a_registry_stands_before_the_repository():
    assert wrapped("{repo: c/d, registry: 'https://r.example.org'}")[1].repos == ("r.example.org/c/d",)


def test_keys_may_have_dashes_and_arguments_may_be_a_map():
    build, *_ = wrapped("{repo: a/b, build-args: {V: 1.5, W: true}, dry-run: true}")
    assert build.args == {"V": "1.5", "W": "true"}


@pytest.mark.parametrize("settings", ["{repo: a/b, dry_run: true}", "{repo: a/b, load: true}", "{tags: x}"])
def test_without_a_push_it_is_only_a_build(settings):
    assert [step.name for step in wrapped(settings)] == ["publish"]


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
def test_tags(settings, trigger, tags):
    steps = wrapped(settings, trigger)
    assert (steps[1].tags if len(steps) > 1 else None) == tags


def test_several_logins_are_several_pushes_each_with_its_own():
    settings = """{repo: [me/a, r.example.org/a, other.example.org/a], tags: x, username: u, logins: [
        {registry: "https://index.docker.io/v1/", username: hub, password: {from_secret: hub}},
        {registry: "https://r.example.org", username: r, password: {from_secret: r}}]}"""
    build, *pushes = wrapped(settings.replace("\n", " "))
    assert build.name == "publish"
    assert [(step.name, step.repos, step.username, step.password) for step in pushes] == [
        ("publish-push", ("me/a",), ("hub",), (SecretRef(secret="hub"),)),
        ("publish-push-2", ("r.example.org/a",), ("r",), (SecretRef(secret="r"),)),
        ("publish-push-3", ("other.example.org/a",), ("u",), ()),
    ]
    assert {step.image for step in pushes} == {1}


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
def test_what_has_no_native_counterpart_runs_as_the_plugin_that_it_is(settings):
    assert [type(step) for step in wrapped(settings)] == [PluginStep]


def test_a_name_in_capitals_becomes_one_that_registries_take():
    assert wrapped("{repo: 'codeberg.org/Me/App', tags: x}")[1].repos == ("codeberg.org/me/app",)


def test_tags_from_a_file_replace_the_others_and_join_the_automatic_ones():
    assert [(step.tags, step.tags_file) for step in wrapped("{repo: a/b, tags: x, tags_file: [.tags]}")[1:]] == [
        ((), ".tags")
    ]
    (_, pushed) = wrapped("{repo: a/b, auto_tag: true, tags_file: out/tags}")
    assert (pushed.tags, pushed.tags_file) == (("latest",), "out/tags")


def test_old_lists_of_secrets_are_its_credentials():
    old = wrapped(
        "{repo: a/b, username: ''}", more=", secrets: [docker_username, {source: pw, target: plugin_password}]"
    )
    assert (old[1].username, old[1].password) == ((SecretRef(secret="docker_username"),), (SecretRef(secret="pw"),))
    own = wrapped(
        "{repo: a/b, username: me}", more=", environment: {DOCKER_USERNAME: x, DOCKER_REGISTRY: r.example.org}"
    )
    assert (own[1].username, own[1].repos) == (("me",), ("r.example.org/a/b",))


def test_build_arguments_from_the_environment():
    settings = "{repo: a/b, build_args: [A=b], build_args_from_env: [CI_COMMIT_BRANCH, CI_COMMIT_TAG, OWN, A]}"
    build, *_ = wrapped(settings, more=", environment: {OWN: mine, A: c}")
    assert build.args == {"CI_COMMIT_BRANCH": "main", "OWN": "mine", "A": "b"}
    secret = wrapped("{repo: a/b, build_args_from_env: [T]}", more=", environment: {T: {from_secret: t}}")
    assert [type(step) for step in secret] == [PluginStep]


def test_a_wrapped_push_in_an_old_group_waits_for_its_build():
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
def test_lint_says_why_a_plugin_would_start_a_docker_of_its_own(image, settings, reason):
    text = f"steps: [{{name: p, image: '{image}:1', settings: {settings}}}]"
    problems = [str(found) for found in lint_files([PipelineFile(".woodpecker.yml", text.encode())])]
    warned = [problem for problem in problems if "runs the plugin itself, which starts a Docker" in problem]
    assert [reason in problem for problem in warned] == ([True] if reason else [])


def test_conditions_and_failures_are_those_of_the_step():
    more = ", when: {event: push, status: [success, failure]}, failure: ignore, timeout: 5m"
    for step in wrapped("{repo: a/b}", more=more):
        assert (step.on_failure, step.failure, step.timeout_s) == (True, "ignore", 300)
    assert plan_of(f"steps: [{{name: p, image: {BUILDX}, settings: {{repo: a/b}}, when: {{event: tag}}}}]").jobs == ()


def test_who_depends_on_the_step_waits_for_its_push_too():
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


def test_in_a_graph_its_push_waits_only_for_its_build():
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


def test_a_step_that_names_the_image_runs_in_the_one_just_built():
    text = """
    steps:
      build: {image: plugins/docker, settings: {repo: app-ci, tags: "${CI_COMMIT_SHA}", load: true}}
      test: {image: "app-ci:${CI_COMMIT_SHA}", commands: x}
      other: {image: "app-ci:latest", commands: x}
    """
    _, test, other = job_of(text).steps
    assert test.container.image == BuiltImage(step=1)
    assert test.container.directory == "/headway/src"
    assert other.container.image.name == "app-ci:latest"


def test_two_wrapped_builds_are_told_apart():
    text = f"""
    steps:
      one: {{image: {BUILDX}, settings: {{repo: a/one}}}}
      two: {{image: {BUILDX}, settings: {{repo: a/two}}}}
    """
    steps = job_of(text).steps
    assert names_of(text) == ["one", "one-push", "two", "two-push"]
    assert (steps[1].image, steps[3].image) == (1, 3)


def test_an_entrypoint_of_its_own_makes_it_another_thing():
    text = f"steps: [{{name: p, image: {BUILDX}, entrypoint: [sh]}}]"
    assert isinstance(job_of(text).steps[0], PluginStep)
