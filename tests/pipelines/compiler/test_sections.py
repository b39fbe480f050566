"""The syntax, sentence by sentence. Each test quotes the sentence that it holds the compiler to, with its section."""

import pytest

from pipelines.plan import CommandsStep, Concurrency, NamedImage, PluginStep
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
    plan_of_files,
    problems_of,
    pull_request,
    push,
    step_of,
    tag,
    value_of,
)

ONE = "steps: [{name: s, image: i, commands: x}]\n"


def step(more: str) -> str:
    return f"steps: [{{name: s, image: i, commands: x, {more}}}]"


def test_unnamed_list_items() -> None:
    """Section 3: "Unnamed list items become step-0, step-1 (index in the list). Map order is file order"."""
    assert names_of("steps: [{image: i}, {image: i}]") == ["step-0", "step-1"]
    assert names_of("steps: {z: {image: i}, a: {image: i}}") == ["z", "a"]


def test_labels() -> None:
    """Section 3: "woodpecker-ci.org/* is reserved and removed"; "every label with a non-empty value"."""
    job = job_of(f"labels: {{platform: linux/arm64, gpu: '', woodpecker-ci.org/filter: x}}\n{ONE}")
    assert job.labels == {"platform": "linux/arm64"}


def test_workflows_that_must_finish_first() -> None:
    """Section 3: "workflow names that must finish successfully first"."""
    plan = plan_of_files({".woodpecker/a.yml": ONE, ".woodpecker/b.yml": f"depends_on: a\n{ONE}"})
    assert [(job.name, job.needs, job.on_success, job.on_failure) for job in plan.jobs] == [
        ("a", (), True, False),
        ("b", ("a",), True, False),
    ]


def test_workflows_whose_target_is_not_there() -> None:
    """Section 2: "dropped, repeatedly, until stable; optional: true targets are just forgotten"."""
    files = {
        ".woodpecker/a.yml": f"when: {{event: tag}}\n{ONE}",
        ".woodpecker/b.yml": f"depends_on: [a]\n{ONE}",
        ".woodpecker/c.yml": f"depends_on: [b]\n{ONE}",
        ".woodpecker/d.yml": f"depends_on: [{{name: a, optional: true}}]\n{ONE}",
    }
    assert [(job.name, job.needs) for job in plan_of_files(files).jobs] == [("d", ())]


@pytest.mark.parametrize(
    ("key", "outcomes"),
    [
        ("runs_on: [success, failure]", (True, True)),
        ("runs_on: [failure]", (False, True)),
        ("when: {status: [success, failure]}", (True, True)),
    ],
)
def test_running_after_failed_dependencies(key: str, outcomes: tuple[bool, ...]) -> None:
    """Section 3: "run the workflow after failed dependencies. Use when: status"."""
    job = job_of(f"{key}\n{ONE}")
    assert (job.on_success, job.on_failure) == outcomes


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2", Concurrency(limit=2)),
        ("{limit: 3, group: deploy}", Concurrency(limit=3, group="deploy")),
        ("{group: deploy, cancel: true}", Concurrency(group="deploy", cancel=True)),
    ],
)
def test_concurrency(written: str, expected: Concurrency) -> None:
    """Section 3: "int >= 1, or {limit, group}: max running instances of the same group"."""
    assert job_of(f"concurrency: {written}\n{ONE}").concurrency == expected
    assert "at least one must be able to run" in problems_of(f"concurrency: 0\n{ONE}")[0]


def test_variables_and_schema() -> None:
    """Section 3: "ignored; a place for YAML anchors"; "$schema: ignored"."""
    assert problems_of(f"variables: {{a: [1, {{b: c}}]}}\n$schema: https://example.org/x.json\n{ONE}") == []


def test_the_clone_steps() -> None:
    """Section 3.1: "each listed container runs as its own stage, in order, in place of the default"."""
    text = f"clone: {{one: {{image: a, commands: x}}, two: {{image: a, commands: x}}}}\n{ONE}"
    assert [(found.name, found.needs) for found in job_of(text).steps] == [("one", ()), ("two", (1,)), ("s", (2,))]
    assert job_of(text).checkout is None


def test_no_clone_step() -> None:
    """Section 3: "skip_clone: no clone step at all"."""
    assert job_of(f"skip_clone: true\n{ONE}").checkout is None


def test_conditions_of_clone_steps() -> None:
    """Section 3.1: "each listed container runs as its own stage ...; when is honoured"."""
    git = "image: woodpeckerci/plugin-git"
    text = f"""
    clone:
      all: {{{git}, settings: {{depth: 0}}, when: {{event: tag}}}}
      few: {{{git}, settings: {{depth: 9}}, when: {{event: push}}}}
    steps: [{{image: i, commands: x}}]
    """
    depths = [getattr(job_of(text, trigger).checkout, "depth", None) for trigger in (push(), tag(), event("cron"))]
    assert depths == [9, 0, None]
    assert [(left.what, left.why) for left in plan_of(text).left_out] == [
        ("checkout of workflow 'headway'", "the event is push, not tag")
    ]
    wrong = f"clone: {{git: {{{git}, when: {{evaluate: 'x =='}}}}}}\n{ONE}"
    assert "1:53: error: 'evaluate': something is missing at the end" in problems_of(wrong)[0]


def test_settings_of_the_clone_plugin() -> None:
    """Section 3.1: "plugin-git settings: depth, partial, recursive, lfs, tags"."""
    settings = "{depth: 3, partial: false, recursive: true, lfs: false, tags: true}"
    checkout = job_of(f"clone: {{git: {{image: woodpeckerci/plugin-git, settings: {settings}}}}}\n{ONE}").checkout
    assert checkout
    assert (checkout.depth, checkout.submodules, checkout.lfs, checkout.tags) == (3, True, False, True)


def test_the_product_of_the_axes() -> None:
    """Section 3.2: "the product of all axes; axis names sorted, last sorted axis varies fastest"."""
    jobs = plan_of(f"matrix: {{B: [1, 2], A: [x, y]}}\n{ONE}").jobs
    assert [tuple(job.cell.values()) for job in jobs] == [("x", "1"), ("x", "2"), ("y", "1"), ("y", "2")]


def test_include_of_a_matrix() -> None:
    """Section 3.2: "include list wins if non-empty; then plain axes are ignored"."""
    jobs = plan_of(f"matrix: {{A: [x], include: [{{A: y, B: z}}]}}\n{ONE}").jobs
    assert [job.cell for job in jobs] == [{"A": "y", "B": "z"}]


def test_values_of_a_cell() -> None:
    """Section 3.2: "usable in ${}; also set as environment variables of non-plugin steps; when.matrix selects"."""
    text = """
    matrix: {V: ["1", "2"]}
    steps:
      - {name: a, image: "i:${V}", commands: x}
      - {name: b, image: i, settings: {v: "${V}"}}
      - {name: c, image: i, commands: x, when: {matrix: {V: "2"}}}
    """
    first, second = plan_of(text).jobs
    assert [of_kind(NamedImage, container_of(found).image).name for found in first.steps] == ["i:1", "i"]
    assert value_of(container_of(first.steps[0]), "V") == "1"
    assert "V" not in container_of(first.steps[1]).environment
    assert [found.name for found in second.steps] == ["a", "b", "c"]


def test_the_workspace() -> None:
    """Section 3.3: "mounted at workspace.base in every container; working directory = base/path"."""
    job = job_of(f"workspace: {{base: /go, path: src/x}}\n{ONE}")
    assert (job.workspace_base, job.workspace, container_of(job.steps[0]).directory) == (
        "/go",
        "/go/src/x",
        "/go/src/x",
    )


def test_words_that_are_no_booleans() -> None:
    """Section 4: "For free-form values only true/false are booleans; yes, on stay strings"."""
    container = container_of(step_of("steps: [{image: i, settings: {a: yes, b: on, c: true, d: 'true'}}]"))
    assert [value_of(container, f"PLUGIN_{name}") for name in "ABCD"] == ["yes", "on", "true", "true"]


def test_typed_booleans() -> None:
    """Section 4: "typed yes/no booleans for bool fields are kept"."""
    assert of_kind(CommandsStep, step_of(step("detach: yes"))).detach
    assert not of_kind(CommandsStep, step_of(step("detach: no"))).detach


def test_merges() -> None:
    """Section 4: "<<: *map, <<: [*a, *b], and a list item - <<: *list or - <<: [*a, *b] that splices sequences"."""
    text = """
    variables:
      - &one {image: i}
      - &two {pull: true}
      - &first [a, b]
      - &last [z]
    steps:
      - {name: s, <<: [*one, *two], commands: [<<: *first, c, <<: [*first, *last]]}
    """
    found = step_of(text)
    assert container_of(found).image == NamedImage(name="i", pull=True)
    assert commands_of(found) == ("a", "b", "c", "a", "b", "z")


@pytest.mark.parametrize(
    "key",
    [
        *("commands: x", "entrypoint: x", "dns: 10.0.0.53", "dns_search: x", "depends_on: t", "when: {event: push}"),
        *(
            "when: {status: success}",
            "when: {branch: {include: main}}",
            "when: {branch: {exclude: x}}",
            "when: {path: x}",
        ),
    ],
)
def test_a_scalar_where_a_list_is_expected(key: str) -> None:
    """Section 4: "Scalars where a list is expected are accepted"."""
    commands = "" if key.startswith("commands") else "commands: x, "
    text = f"steps: [{{name: s, image: i, {commands}{key}}}, {{name: t, image: i, commands: x}}]"
    assert problems_of(text, context=TRUSTED) == []


def test_a_graph() -> None:
    """Section 5: "if any step has the key (even []), the workflow becomes a graph: steps without it start at once"."""
    text = "steps: [{name: a, image: i}, {name: b, image: i, depends_on: []}, {name: c, image: i, depends_on: [a, b]}]"
    assert [found.needs for found in job_of(text).steps] == [(), (), (1, 2)]


def test_wrong_graphs() -> None:
    """Section 5: "Names must be unique. Unknown or filtered-out required target = error; cycle = error"."""
    other = "{name: t, image: i, when: {event: tag}}"
    assert "two steps are named" in problems_of("steps: [{name: a, image: i, depends_on: []}, {name: a, image: i}]")[0]
    assert "is not a step here" in problems_of(step("depends_on: [u]"))[0]
    assert "does not run" in problems_of(f"steps: [{{name: s, image: i, depends_on: [t]}}, {other}]")[0]
    assert "wait for each other" in problems_of(step("depends_on: [s]"))[0]


@pytest.mark.parametrize("failure", ["fail", "ignore", "cancel"])
def test_failure(failure: str) -> None:
    """Section 5: "fail, ignore, cancel"."""
    assert step_of(step(f"failure: {failure}")).failure == failure


def test_where_a_step_starts() -> None:
    """Section 5: "directory: relative to the workspace path, or absolute"."""
    assert container_of(step_of(step("directory: a/b"))).directory == "/headway/src/a/b"
    assert container_of(step_of(step("directory: /a"))).directory == "/a"


def test_pull() -> None:
    """Section 5: "true = always pull; false = only if absent"."""
    assert of_kind(NamedImage, container_of(step_of(step("pull: true"))).image).pull
    assert not of_kind(NamedImage, container_of(step_of(step("pull: false"))).image).pull


def test_the_user() -> None:
    """Section 5: "backend_options: docker: {user}"."""
    assert container_of(step_of(step("backend_options: {docker: {user: 1000:1000}}"))).user == "1000:1000"


@pytest.mark.parametrize("more", ["commands: x", "entrypoint: x"])
def test_settings_with_commands(more: str) -> None:
    """Section 5: "settings with commands or with entrypoint = error"."""
    (problem,) = problems_of(f"steps: [{{name: s, image: i, settings: {{a: b}}, {more}}}]")
    assert ": error: " in problem


def test_what_a_plugin_is() -> None:
    """Section 5: "Plugin step = no commands, no entrypoint, no environment"; "only plugin steps get the DRONE_*"."""
    plugin = step_of("steps: [{name: s, image: i, settings: {a: b}}]", event("manual", inputs={"TYPED": "x"}))
    commands = step_of(step(""), event("manual", inputs={"TYPED": "x"}))
    assert isinstance(plugin, PluginStep)
    assert isinstance(commands, CommandsStep)
    assert ("DRONE_REPO" in plugin.container.environment, "TYPED" in plugin.container.environment) == (True, False)
    assert ("DRONE_REPO" in commands.container.environment, "TYPED" in commands.container.environment) == (False, True)


def test_settings_with_environment() -> None:
    """Section 5: "A step with settings and environment still gets PLUGIN_*, but counts as a commands step"."""
    container = container_of(step_of("steps: [{name: s, image: i, settings: {a: b}, environment: {C: d}}]"))
    assert value_of(container, "PLUGIN_A") == "b"
    assert value_of(container, "CI_STEP_TYPE") == "commands"


def test_services() -> None:
    """Section 6: "commands, settings, when, environment ... failure allowed. Names must be set in list form"."""
    text = f"services: [{{name: a, image: i, commands: x, environment: {{A: b}}, failure: ignore}}]\n{ONE}"
    (service,) = job_of(text).services
    assert (service.name, service.commands, service.failure) == ("a", ("x",), "ignore")
    assert "a service cannot be named ''" in problems_of(f"services: [{{image: i}}]\n{ONE}")[0]


@pytest.mark.parametrize(
    ("when", "trigger", "runs"),
    [
        ("[{event: tag}, {event: push}]", push(), True),  # "a list (any must match = OR)"
        ("{event: push, branch: dev}", push(), False),  # "all given keys must match (AND)"
        ("{branch: dev}", tag(), True),  # "ignored for tag events"
        ("{branch: main}", pull_request("main", "dev"), True),  # "for pull requests the target branch"
        ("{cron: x}", push(), True),  # "checked only for cron events (passes otherwise)"
        ("{path: x}", tag(changed_files=("y",)), True),  # "checked only for push and pull_request*"
        ("{path: {exclude: x}}", push(changed_files=("x", "y")), True),  # "only if every changed file matches"
        ("{path: {include: [x, y]}}", push(changed_files=("z", "y")), True),  # "any file matches any pattern"
        ("{path: x}", push(changed_files=()), True),  # "on_empty (default true)"
        ("{path: {include: x, ignore_message: '[ALL]'}}", push(message="[all]", changed_files=("y",)), True),
        ("{branch: {include: main, exclude: m*}}", push(), False),  # "Exclude is tested first"
        ("{branch: {exclude: dev}}", push(), True),  # "empty include = everything"
        ("{branch: 'rel/*'}", push("rel/1/2"), False),  # "* stops at /, ** does not"
        ("{branch: 'rel/**'}", push("rel/1/2"), True),
        ("{evaluate: 'NAME == nil'}", push(), True),  # "undefined names are nil"
        ("{status: failure}", push(), True),  # "does not filter"
    ],
)
def test_when(when: str, trigger: Trigger, runs: bool) -> None:
    """Section 7, whose words stand beside the cases."""
    assert bool(plan_of(step(f"when: {when}"), trigger).jobs) is runs


def test_status_of_several_conditions() -> None:
    """Section 7: "Taken from matching conditions only: runs on failure if one of them lists failure"."""
    found = step_of(step("when: [{event: push}, {event: push, status: failure}, {event: tag, status: failure}]"))
    assert (found.on_success, found.on_failure) == (True, True)
    found = step_of(step("when: [{event: push}, {event: tag, status: failure}]"))
    assert (found.on_success, found.on_failure) == (True, False)


@pytest.mark.parametrize(
    ("status", "outcomes"),
    [
        ("canceled", (False, False, True)),
        ("[success, failure, canceled]", (True, True, True)),
        ("[failure, canceled]", (False, True, True)),
        ("success", (True, False, False)),
    ],
)
def test_steps_that_clean_up_after_a_cancel(status: str, outcomes: tuple[bool, ...]) -> None:
    """PIPELINE_FILE section 3: "in when.status: also canceled: cleanup steps run after a cancel"."""
    found = step_of(step(f"when: {{status: {status}}}"))
    assert (found.on_success, found.on_failure, found.on_canceled) == outcomes


def test_a_canceled_run_starts_no_further_workflow() -> None:
    job = job_of(f"when: {{status: [success, canceled]}}\n{ONE}")
    assert (job.on_success, job.on_failure) == (True, False)


@pytest.mark.parametrize("key", ["privileged: true", "volumes: [/a:/b]", "dns: 1.1.1.1", "network_mode: host"])
def test_trust(key: str) -> None:
    """Section 8: "Blocking: ... without the matching repo trust flag"."""
    assert "needs trust in" in problems_of(step(key))[0]
    assert problems_of(step(key), context=TRUSTED) == []
    assert problems_of(step("network_mode: none"), context=CONTEXT) == []


def test_removed_names() -> None:
    """Section 9: "Removed but still seen in old files: CI_BUILD_*, CI_JOB_*, CI_REPO_LINK, CI_COMMIT_URL"."""
    names = {
        "CI_BUILD_NUMBER": "${CI_PIPELINE_NUMBER}",
        "CI_BUILD_STATUS": "$CI_PIPELINE_STATUS",
        "CI_JOB_NUMBER": "$CI_STEP_NUMBER",
        "CI_REPO_LINK": "${CI_REPO_URL}",
        "CI_COMMIT_URL": "${CI_PIPELINE_FORGE_URL}",
        "CI_BRANCH": "${CI_COMMIT_BRANCH}",
        "DRONE_COMMIT_SHA": "${CI_COMMIT_SHA}",
        "DRONE_BUILD_NUMBER": "${CI_PIPELINE_NUMBER}",
        "DRONE_WORKSPACE": "$CI_WORKSPACE",
    }
    for old, new in names.items():
        (problem,) = problems_of(f"steps: [{{image: i, commands: 'echo ${{{old}}}'}}]")
        assert problem.endswith(f"warning: ${{{old}}} is an old name and becomes empty; write {new}")
    assert "is not a variable here" in problems_of("steps: [{image: i, commands: 'echo ${CI_JOB_COLOUR}'}]")[0]
