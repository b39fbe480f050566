"""Steps of every kind in the plan."""

import pytest

from pipelines.context import Context
from pipelines.plan import (
    BuildStep,
    BuiltImage,
    CommandsStep,
    NamedImage,
    Plan,
    PluginStep,
    PushStep,
    SecretRef,
    secret_names,
)
from pipelines.trigger import Trigger
from tests.support.pipelines import (
    CONTEXT,
    TRUSTED,
    commands_of,
    container_of,
    event,
    job_of,
    names_of,
    of_kind,
    plan_of,
    problems_of,
    pull_request,
    push,
    step_of,
    tag,
    value_of,
)


def test_steps_are_a_list_or_a_map_with_the_same_meaning() -> None:
    as_list = "steps: [{name: a, image: i, commands: x}, {name: b, image: i, commands: y}]"
    as_map = "steps: {a: {image: i, commands: x}, b: {image: i, commands: y}}"
    assert job_of(as_list) == job_of(as_map)
    assert [step.number for step in job_of(as_map).steps] == [1, 2]


def test_a_step_without_a_name_is_called_by_its_index() -> None:
    assert names_of("steps: [{image: i, commands: x}, {name: n, image: i, commands: x}, {image: i, commands: y}]") == [
        "step-0",
        "n",
        "step-2",
    ]


def test_a_name_inside_a_map_wins_over_its_key() -> None:
    assert names_of("steps: {a: {name: b, image: i, commands: x}}") == ["b"]


def test_commands_are_a_text_or_a_list_of_texts() -> None:
    assert commands_of(step_of("steps: [{image: i, commands: make}]")) == ("make",)
    several = step_of("steps: [{image: i, commands: [make, 3.10, true]}]")
    assert commands_of(several) == ("make", "3.10", "true")


def test_a_commands_step_starts_in_the_checkout() -> None:
    step = step_of("steps: [{image: 'python:3.13', commands: make}]")
    assert isinstance(step, CommandsStep)
    assert step.container.image == NamedImage(name="python:3.13")
    assert step.container.directory == "/headway/src"


def test_a_directory_is_relative_to_the_checkout_or_absolute() -> None:
    relative = step_of("steps: [{image: i, commands: x, directory: web/app}]")
    assert container_of(relative).directory == "/headway/src/web/app"
    absolute = step_of("steps: [{image: i, commands: x, directory: /srv}]")
    assert container_of(absolute).directory == "/srv"


def test_every_option_of_a_container_reaches_the_plan() -> None:
    text = """
    steps:
      - name: all
        image: i
        pull: true
        entrypoint: [/bin/bash, -c]
        commands: [x]
        privileged: true
        volumes: [/a:/b]
        devices: [/dev/kvm]
        tmpfs: /tmp
        dns: 1.1.1.1
        dns_search: [example.org]
        extra_hosts: ["db:10.0.0.1"]
        network_mode: host
        ports: [80]
        detach: yes
        failure: ignore
        timeout: 1h30m
        backend_options: {docker: {user: 1000:1000}}
    """
    step = step_of(text, context=TRUSTED)
    container = container_of(step)
    assert container.image == NamedImage(name="i", pull=True)
    assert container.entrypoint == ("/bin/bash", "-c")
    assert container.privileged
    assert (container.volumes, container.devices, container.tmpfs) == (("/a:/b",), ("/dev/kvm",), ("/tmp",))
    assert (container.dns, container.dns_search) == (("1.1.1.1",), ("example.org",))
    assert (container.extra_hosts, container.network_mode) == (("db:10.0.0.1",), "host")
    assert container.user == "1000:1000"
    assert (of_kind(CommandsStep, step).detach, step.failure, step.timeout_s) == (True, "ignore", 5400)


@pytest.mark.parametrize(
    ("option", "trust"),
    [
        ("privileged: true", "security"),
        ("volumes: [/a:/b]", "volumes"),
        ("devices: [/dev/kvm]", "volumes"),
        ("tmpfs: [/a]", "volumes"),
        ("dns: [1.1.1.1]", "network"),
        ("dns_search: [a]", "network"),
        ("extra_hosts: ['a:1.1.1.1']", "network"),
        ("network_mode: host", "network"),
    ],
)
def test_what_reaches_the_host_needs_trust(option: str, trust: str) -> None:
    text = f"steps: [{{name: a, image: i, commands: x, {option}}}]"
    key = option.split(":", maxsplit=1)[0]
    assert problems_of(text) == [
        (
            f"1:42: error: '{key}' in step 'a' needs trust in '{trust}', which this repository does not have; "
            f"an administrator can give it in the repository's settings; else remove '{key}'"
        )
    ]
    assert problems_of(text, context=TRUSTED) == []


def test_no_network_at_all_needs_no_trust() -> None:
    assert problems_of("steps: [{name: a, image: i, commands: x, network_mode: none}]") == []


def test_environment_keeps_numbers_as_written_and_encodes_the_rest() -> None:
    text = """
    steps:
      - image: i
        commands: x
        environment:
          {PY: 3.10, MODE: 0755, ON: on, YES: True, EMPTY: , LIST: [a, 1], MAP: {b: 1, a: x}, S: {from_secret: Key}}
    """
    container = container_of(step_of(text))
    found = {
        name: value_of(container, name, {"key": "hidden"}) for name in ("PY", "MODE", "ON", "YES", "LIST", "MAP", "S")
    }
    assert found == {
        "PY": "3.10",
        "MODE": "0755",
        "ON": "on",
        "YES": "true",
        "LIST": "a,1",
        "MAP": '{"a":"x","b":1}',
        "S": "hidden",
    }
    assert "EMPTY" not in container.environment
    assert container.environment["S"] == (SecretRef(secret="key"),)


def test_settings_make_a_plugin_with_drones_names() -> None:
    step = step_of("steps: [{name: p, image: i, settings: {dry-run: true}}]")
    assert isinstance(step, PluginStep)
    assert value_of(step.container, "PLUGIN_DRY_RUN") == "true"
    assert value_of(step.container, "CI_STEP_TYPE") == "plugin"
    assert value_of(step.container, "DRONE_COMMIT_REF") == "refs/heads/main"
    assert step.container.directory == "/headway/src"


def test_a_step_with_only_an_image_is_a_plugin() -> None:
    assert isinstance(step_of("steps: [{name: p, image: i}]"), PluginStep)


def test_settings_with_environment_keep_both_but_it_is_no_plugin_any_more() -> None:
    step = step_of("steps: [{name: p, image: i, settings: {a: b}, environment: {C: d}}]")
    assert value_of(container_of(step), "PLUGIN_A") == "b"
    assert value_of(container_of(step), "C") == "d"
    assert value_of(container_of(step), "CI_STEP_TYPE") == "commands"
    assert "DRONE_REPO" not in container_of(step).environment


def test_a_build_takes_all_keys_of_compose() -> None:
    text = """
    steps:
      - name: app
        build:
          context: server
          dockerfile: docker/Dockerfile
          target: prod
          args: {VERSION: 3.10, EMPTY: ""}
          secrets: {netrc: NETRC_FILE}
          ssh: default
          labels: [a=b, c=d=e]
          platforms: linux/amd64, linux/arm64
          cache_from: ["type=registry,ref=x"]
          cache_to: type=inline
          no_cache: true
          pull: true
          network: host
    """
    assert step_of(text, context=TRUSTED) == BuildStep(
        number=1,
        name="app",
        context="server",
        dockerfile="server/docker/Dockerfile",
        target="prod",
        args={"VERSION": "3.10", "EMPTY": ""},
        secrets={"netrc": "netrc_file"},
        ssh=("default",),
        labels={"a": "b", "c": "d=e"},
        platforms=("linux/amd64", "linux/arm64"),
        cache_from=("type=registry,ref=x",),
        cache_to=("type=inline",),
        no_cache=True,
        pull=True,
        network="host",
    )


@pytest.mark.parametrize(
    ("build", "context"), [("web", "web"), ("{context: web}", "web"), ("{}", "."), ("", "."), ("{pull: no}", ".")]
)
def test_a_build_may_be_only_its_context(build: str, context: str) -> None:
    assert of_kind(BuildStep, step_of(f"steps:\n  - build: {build}\n")).context == context


def test_secrets_of_a_build_are_names_or_ids_with_names() -> None:
    several = of_kind(BuildStep, step_of("steps: [{build: {secrets: [Token, pip]}}]"))
    assert several.secrets == {"Token": "token", "pip": "pip"}
    one = of_kind(BuildStep, step_of("steps: [{build: {secrets: Token}}]"))
    assert one.secrets == {"Token": "token"}


def test_a_dockerfile_can_stand_in_the_file() -> None:
    text = "steps: [{build: {dockerfile_inline: FROM busybox}}]"
    assert of_kind(BuildStep, step_of(text)).dockerfile_inline == "FROM busybox"


def test_a_dockerfile_cannot_be_given_twice() -> None:
    text = "steps: [{name: a, build: {dockerfile: D, dockerfile_inline: FROM x}}]"
    (problem,) = problems_of(text)
    assert problem.startswith(
        "1:42: error: 'dockerfile' and 'dockerfile_inline' do not go together in step 'a'; remove"
    )


def test_a_secret_is_no_build_argument() -> None:
    text = "steps: [{build: {args: {TOKEN: {from_secret: t}}}}]"
    assert problems_of(text) == [
        (
            "1:32: error: 'TOKEN': a secret cannot stand here: build arguments can be read from the image; "
            "use 'secrets' of the build"
        )
    ]


ONE_BUILD = """
steps:
  app: {build: .}
  test: {commands: make test}
  tool: {settings: {a: b}}
  other: {image: busybox, commands: "true"}
  push: {push: {repo: registry.example.org/me/app}}
"""


def test_a_step_without_an_image_runs_in_the_image_built_before_it() -> None:
    _, test, tool, other, pushed = job_of(ONE_BUILD).steps
    assert container_of(test).image == BuiltImage(step=1)
    assert container_of(tool).image == BuiltImage(step=1)
    assert container_of(other).image == NamedImage(name="busybox")
    assert isinstance(pushed, PushStep)
    assert pushed.image == 1


def test_a_step_in_the_built_image_starts_in_the_images_own_directory() -> None:
    _, test, _, other, _ = job_of(ONE_BUILD).steps
    assert container_of(test).directory == ""
    assert container_of(other).directory == "/headway/src"
    text = "steps: {app: {build: .}, test: {commands: x, directory: sub}}"
    assert container_of(job_of(text).steps[1]).directory == "/headway/src/sub"


TWO_BUILDS = """
steps:
  web: {build: web}
  api: {build: api}
  test: {image: {build: web}, commands: x}
  push: {push: {repo: a/b, image: {build: api}, tags: x}}
  short: {push: {repo: a/b, image: web, tags: x}}
"""


def test_with_several_builds_a_step_names_the_one_it_wants() -> None:
    steps = job_of(TWO_BUILDS).steps
    assert container_of(steps[2]).image == BuiltImage(step=1)
    assert (of_kind(PushStep, steps[3]).image, of_kind(PushStep, steps[4]).image) == (2, 1)


def test_with_several_builds_a_step_that_names_none_is_refused() -> None:
    text = "steps: {web: {build: web}, api: {build: api}, test: {commands: x}, push: {push: {repo: a/b}}}"
    assert problems_of(text) == [
        f"1:{column}: error: step '{name}' must say which image: 'web' and 'api' are built before it; "
        "add image: {build: NAME}"
        for name, column in (("test", 53), ("push", 81))
    ]


def test_of_several_builds_only_those_that_run_count() -> None:
    text = """
    steps:
      release: {build: {target: release}, when: {event: tag}}
      debug: {build: {target: debug}, when: {event: push}}
      test: {commands: x}
    """
    assert container_of(job_of(text).steps[1]).image == BuiltImage(step=1)
    assert container_of(job_of(text, tag()).steps[1]).image == BuiltImage(step=1)
    assert names_of(text, tag()) == ["release", "test"]


def test_without_its_build_a_step_is_left_out_too() -> None:
    text = """
    steps:
      app: {build: ., when: {event: tag}}
      test: {commands: x}
      push: {push: {repo: a/b, image: {build: app}}}
      lint: {image: i, commands: x}
    """
    plan = plan_of(text)
    assert [step.name for step in plan.jobs[0].steps] == ["lint"]
    assert [(left.what, left.why) for left in plan.left_out] == [
        ("step 'app' of workflow 'headway'", "the event is push, not tag"),
        (
            "step 'test' of workflow 'headway'",
            "the image it needs is not built: step 'app' is left out (the event is push, not tag)",
        ),
        (
            "step 'push' of workflow 'headway'",
            "the image it needs is not built: step 'app' is left out (the event is push, not tag)",
        ),
    ]


def test_a_step_without_any_image_gets_a_remedy() -> None:
    assert problems_of("steps: [{name: a, commands: x}]") == [
        (
            "1:9: error: step 'a' has no image; "
            "add 'image: NAME', or a step with 'build' before it to run in the image it makes"
        )
    ]
    assert problems_of("steps: [{name: a}]") == problems_of("steps: [{name: a, commands: x}]")


def test_a_push_without_a_build_gets_a_remedy() -> None:
    assert problems_of("steps: [{name: p, push: {repo: a/b}}]") == [
        "1:25: error: step 'p' has nothing to push; add a step with 'build' before it"
    ]


def test_the_image_of_a_step_that_builds_nothing_is_refused_with_the_nearest_name() -> None:
    text = "steps: {app: {build: .}, t: {image: {build: ap}, commands: x}, u: {image: {build: zzz}, commands: x}}"
    assert problems_of(text) == [
        "1:37: error: step 't' wants the image of 'ap', which no step before builds; did you mean 'app'?",
        (
            "1:75: error: step 'u' wants the image of 'zzz', which no step before builds; "
            "a build step must come before the steps that use its image"
        ),
    ]


def test_a_step_left_out_needs_no_image() -> None:
    assert names_of("steps: {a: {commands: x, when: {event: tag}}, b: {image: i, commands: x}}") == ["b"]


PUSH = "steps: [{{name: app, build: .}}, {{name: push, push: {{repo: {repo}, {more}}}}}]"


def pushed(
    more: str = "tags: a", repo: str = "me/app", trigger: Trigger | None = None, context: Context = CONTEXT
) -> PushStep:
    return of_kind(PushStep, job_of(PUSH.format(repo=repo, more=more), trigger, context).steps[1])


def why_not_pushed(more: str, trigger: Trigger | None = None) -> str:
    plan = plan_of(PUSH.format(repo="me/app", more=more), trigger)
    assert len(plan.jobs[0].steps) == 1
    return plan.left_out[0].why


def test_a_push_has_repositories_tags_and_credentials() -> None:
    step = pushed("tags: [a, b, a], username: me, password: {from_secret: PW}", repo="[me/app, r.example.org/x]")
    assert (step.repos, step.tags) == (("me/app", "r.example.org/x"), ("a", "b"))
    assert (step.username, step.password) == (("me",), (SecretRef(secret="pw"),))


def test_tags_and_repositories_may_be_a_text_with_commas() -> None:
    step = pushed("tags: 'a, b,'", repo="'x, y'")
    assert (step.repos, step.tags) == (("x", "y"), ("a", "b"))


def test_a_registry_stands_before_repositories_that_do_not_name_it() -> None:
    step = pushed("tags: a, registry: 'https://r.example.org/v2'", repo="[me/app, r.example.org/b]")
    assert step.repos == ("r.example.org/me/app", "r.example.org/b")
    assert pushed("tags: a, registry: docker.io").repos == ("me/app",)


def test_without_tags_they_are_automatic() -> None:
    assert pushed("image: {build: app}").tags == ("latest",)
    assert pushed("tags: [auto, extra]", trigger=tag("v1.2.3")).tags == ("1", "1.2", "1.2.3", "extra")


@pytest.mark.parametrize("trigger", [push("topic"), pull_request()])
def test_a_push_without_a_tag_for_the_trigger_is_left_out(trigger: Trigger) -> None:
    assert why_not_pushed("tags: auto", trigger) == (
        "there is no tag for this trigger (auto tags the default branch and git tags)"
    )


def test_an_empty_tag_does_not_count() -> None:
    assert "no tag" in why_not_pushed("tags: ['${CI_COMMIT_TAG}']")
    assert pushed("tags: ['${CI_COMMIT_TAG}', x, null]").tags == ("x",)


def test_wrong_tags_and_repositories_are_refused() -> None:
    text = PUSH.format(repo="[Me/App, a/b]", more="tags: [-a, ok, 'a b']")
    problems = problems_of(text)
    assert problems[0].startswith("1:59: error: 'Me/App' is not a repository's name; write")
    assert [problem.split(";")[0] for problem in problems[1:]] == [
        "1:80: error: '-a' is not a tag: it begins with '-'",
        "1:88: error: 'a b' is not a tag: it has a ' '",
    ]


@pytest.mark.parametrize(
    ("build", "dockerfile"),
    [
        ("server", "server/Dockerfile"),
        ("./server/", "server/Dockerfile"),
        ("{context: server, dockerfile: docker/Dockerfile}", "server/docker/Dockerfile"),
        ("{context: server, dockerfile: ../docker/Dockerfile}", "docker/Dockerfile"),
        ("{context: a/b, dockerfile: ./../../Dockerfile}", "Dockerfile"),
        ("{dockerfile: docker/Dockerfile}", "docker/Dockerfile"),
        ("", "Dockerfile"),
    ],
)
def test_a_dockerfile_is_looked_for_beside_the_context(build: str, dockerfile: str) -> None:
    step = of_kind(BuildStep, step_of(f"steps:\n  - build: {build}\n"))
    assert (step.dockerfile, step.dockerfile_else) == (dockerfile, "")


@pytest.mark.parametrize(
    ("build", "inside"),
    [
        ("{context: a/.., dockerfile: ..x}", True),
        ("{context: a, dockerfile: ../x}", True),
        ("{context: a, dockerfile: ../../x}", False),
        ("{context: a, dockerfile: /x}", False),
        ("{context: .., dockerfile: x/x}", False),
        ("{context: a/../.., dockerfile_inline: FROM a}", False),
        ("{context: /a}", False),
    ],
)
def test_a_build_that_leads_out_of_the_repository_is_refused_before_it_runs(build: str, inside: bool) -> None:
    found = problems_of(f"steps:\n  - build: {build}\n")
    assert inside is not any("leads out of the repository; it must stay inside" in problem for problem in found)


def test_the_dockerfile_of_a_plugin_is_looked_for_in_the_checkout_then_beside_the_context() -> None:
    settings = "steps: [{name: p, image: woodpeckerci/plugin-docker-buildx, settings: {repo: a/b, context: server%s}}]"
    jobs = [job_of(settings % more) for more in ("", ", dockerfile: ./server/Prod")]
    found = [of_kind(BuildStep, job.steps[0]) for job in jobs]
    assert [(step.dockerfile, step.dockerfile_else) for step in found] == [
        ("Dockerfile", "server/Dockerfile"),
        ("server/Prod", "server/server/Prod"),
    ]
    assert found[0].names == ("a/b:latest",)


def test_a_push_may_find_its_tags_in_a_file() -> None:
    text = "steps: {app: {build: .}, push: {push: {repo: a/b, tags_file: out/tagsMORE}}}"
    _, step = job_of(text.replace("MORE", "")).steps
    assert (of_kind(PushStep, step).tags, of_kind(PushStep, step).tags_file) == ((), "out/tags")
    _, step = job_of(text.replace("MORE", ", tags: x"), push("dev")).steps
    assert of_kind(PushStep, step).tags == ("x",)
    assert problems_of("steps: {app: {build: .}, push: {push: {repo: a/b, tags_file: ../x}}}") == [
        "1:62: error: 'tags_file' is a file of the checkout, not '../x'; write its path from there, for example .tags"
    ]


def test_a_push_without_a_repository_is_refused() -> None:
    assert problems_of("steps: [{name: a, build: .}, {name: p, push: {}}]") == [
        "1:46: error: 'repo' is missing or empty in step 'p'; say where to push: repo: registry.example.org/owner/name"
    ]
    assert "'repo' is missing or empty" in problems_of("steps: [{build: .}, {name: p, push: {repo: []}}]")[0]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("image: i, commands: x, settings: {a: b}", "'settings' does not go with 'commands' in step 's'"),
        ("build: ., commands: x", "'build' does not go with 'commands' in step 's'"),
        ("build: ., image: x", "'image' does not go with 'build' in step 's'"),
        ("build: ., push: {repo: a}", "'push' does not go with 'build' in step 's'"),
        ("push: {repo: a/b}, environment: {}", "'environment' does not go with 'push' in step 's'"),
        ("image: i, settings: {a: b}, entrypoint: x", "'entrypoint' does not go with 'settings' in step 's'"),
    ],
)
@pytest.mark.parametrize("path", [".headway.yml", ".woodpecker.yml"])
def test_a_step_is_of_one_kind(step: str, message: str, path: str) -> None:
    (problem,) = problems_of(f"steps: [{{name: s, {step}}}]", path=path)
    assert f" error: {message}" in problem


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h2m3s", 3723), ("168h", 604800)]
)
def test_times_are_written_with_units(timeout: str, seconds: int) -> None:
    assert step_of(f"steps: [{{image: i, commands: x, timeout: {timeout}}}]").timeout_s == seconds


@pytest.mark.parametrize("timeout", ["90", "1d", "m", "[1s]", "{}"])
def test_other_times_are_refused(timeout: str) -> None:
    (problem,) = problems_of(f"steps: [{{name: s, image: i, commands: x, timeout: {timeout}}}]")
    assert problem.startswith("1:51: error: 'timeout': a time is wanted here, not ")
    assert problem.endswith("write for example 90s, 10m or 1h30m")


@pytest.mark.parametrize("timeout", ["0s", "169h"])
def test_times_have_bounds(timeout: str) -> None:
    assert "at most a week" in problems_of(f"steps: [{{image: i, commands: x, timeout: {timeout}}}]")[0]


def test_a_plan_survives_json() -> None:
    for text in (ONE_BUILD, TWO_BUILDS):
        plan = plan_of(text, event("manual"))
        assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_no_secret_is_in_a_plan_but_its_name_is() -> None:
    step = step_of("steps: [{image: i, settings: {a: [x, {from_secret: One}], b: {c: {from_secret: TWO}}}}]")
    names = {name for value in container_of(step).environment.values() for name in secret_names(value)}
    assert names == {"one", "two"}
