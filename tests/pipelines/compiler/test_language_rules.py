"""The rules of the language, which are those of Woodpecker 3.x: each test states the rule that it checks."""

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
    """Unnamed list items become step-0, step-1 (index in the list). Map order is file order."""
    assert names_of("steps: [{image: i}, {image: i}]") == ["step-0", "step-1"]
    assert names_of("steps: {z: {image: i}, a: {image: i}}") == ["z", "a"]


def test_labels() -> None:
    """Labels named woodpecker-ci.org/* are reserved and removed, as are labels without a value."""
    job = job_of(f"labels: {{platform: linux/arm64, gpu: '', woodpecker-ci.org/filter: x}}\n{ONE}")
    assert job.labels == {"platform": "linux/arm64"}


def test_workflows_that_must_finish_first() -> None:
    """``depends_on`` names workflows that must pass first."""
    plan = plan_of_files({".woodpecker/a.yml": ONE, ".woodpecker/b.yml": f"depends_on: a\n{ONE}"})
    assert [(job.name, job.needs, job.on_success, job.on_failure) for job in plan.jobs] == [
        ("a", (), True, False),
        ("b", ("a",), True, False),
    ]


def test_workflows_whose_target_is_not_there() -> None:
    """A workflow whose dependency does not run is left out, and so on. A missing optional dependency is ignored."""
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
        ("when: {status: [success, failure]}", (True, True)),
    ],
)
def test_running_after_failed_dependencies(key: str, outcomes: tuple[bool, ...]) -> None:
    """``when: status`` runs a workflow after failed dependencies."""
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
    """A number from 1, or {limit, group}: how many jobs of a group run at the same time."""
    assert job_of(f"concurrency: {written}\n{ONE}").concurrency == expected
    assert "at least one must be able to run" in problems_of(f"concurrency: 0\n{ONE}")[0]


def test_variables_and_schema() -> None:
    """``variables``, a place for YAML anchors, and ``$schema`` are ignored."""
    assert problems_of(f"variables: {{a: [1, {{b: c}}]}}\n$schema: https://example.org/x.json\n{ONE}") == []


def test_the_clone_steps() -> None:
    """The steps of ``clone`` run one after the other, in place of the default checkout."""
    text = f"clone: {{one: {{image: a, commands: x}}, two: {{image: a, commands: x}}}}\n{ONE}"
    assert [(found.name, found.needs) for found in job_of(text).steps] == [("one", ()), ("two", (1,)), ("s", (2,))]
    assert job_of(text).checkout is None


def test_no_clone_step() -> None:
    """With ``skip_clone`` there is no checkout and no clone step."""
    assert job_of(f"skip_clone: true\n{ONE}").checkout is None


def test_conditions_of_clone_steps() -> None:
    """The steps of ``clone`` may have conditions."""
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
    """The native checkout reads plugin-git's settings depth, recursive, lfs and tags; partial has no effect."""
    settings = "{depth: 3, partial: false, recursive: true, lfs: false, tags: true}"
    checkout = job_of(f"clone: {{git: {{image: woodpeckerci/plugin-git, settings: {settings}}}}}\n{ONE}").checkout
    assert checkout
    assert (checkout.depth, checkout.submodules, checkout.lfs, checkout.tags) == (3, True, False, True)


def test_the_product_of_the_axes() -> None:
    """The cells are the product of all axes. Axes are sorted by name; the last one varies fastest."""
    jobs = plan_of(f"matrix: {{B: [1, 2], A: [x, y]}}\n{ONE}").jobs
    assert [tuple(job.cell.values()) for job in jobs] == [("x", "1"), ("x", "2"), ("y", "1"), ("y", "2")]


def test_include_of_a_matrix() -> None:
    """A non-empty ``include`` replaces the axes."""
    jobs = plan_of(f"matrix: {{A: [x], include: [{{A: y, B: z}}]}}\n{ONE}").jobs
    assert [job.cell for job in jobs] == [{"A": "y", "B": "z"}]


def test_values_of_a_cell() -> None:
    """The values of a cell are for ``${NAME}``, conditions, and the environment of steps with commands."""
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
    """The workspace is mounted at ``base`` in every container; the working directory is base/path."""
    job = job_of(f"workspace: {{base: /go, path: src/x}}\n{ONE}")
    assert (job.workspace_base, job.workspace, container_of(job.steps[0]).directory) == (
        "/go",
        "/go/src/x",
        "/go/src/x",
    )


def test_words_that_are_no_booleans() -> None:
    """In settings only true and false are booleans; yes and on are texts."""
    container = container_of(step_of("steps: [{image: i, settings: {a: yes, b: on, c: true, d: 'true'}}]"))
    assert [value_of(container, f"PLUGIN_{name}") for name in "ABCD"] == ["yes", "on", "true", "true"]


def test_typed_booleans() -> None:
    """For keys that take true or false, yes and no count too."""
    assert of_kind(CommandsStep, step_of(step("detach: yes"))).detach
    assert not of_kind(CommandsStep, step_of(step("detach: no"))).detach


def test_merges() -> None:
    """``<<`` merges maps, and as a list item inserts the items of lists."""
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
    """A scalar counts as a list of one."""
    commands = "" if key.startswith("commands") else "commands: x, "
    text = f"steps: [{{name: s, image: i, {commands}{key}}}, {{name: t, image: i, commands: x}}]"
    assert problems_of(text, context=TRUSTED) == []


def test_a_graph() -> None:
    """If any step has ``depends_on`` (even []), the steps are a graph: those without it start at once."""
    text = "steps: [{name: a, image: i}, {name: b, image: i, depends_on: []}, {name: c, image: i, depends_on: [a, b]}]"
    assert [found.needs for found in job_of(text).steps] == [(), (), (1, 2)]


def test_wrong_graphs() -> None:
    """In a graph, duplicate names, missing required dependencies and cycles are errors."""
    other = "{name: t, image: i, when: {event: tag}}"
    assert "two steps are named" in problems_of("steps: [{name: a, image: i, depends_on: []}, {name: a, image: i}]")[0]
    assert "is not a step here" in problems_of(step("depends_on: [u]"))[0]
    assert "does not run" in problems_of(f"steps: [{{name: s, image: i, depends_on: [t]}}, {other}]")[0]
    assert "wait for each other" in problems_of(step("depends_on: [s]"))[0]


@pytest.mark.parametrize("failure", ["fail", "ignore", "cancel"])
def test_failure(failure: str) -> None:
    """``failure`` is fail, ignore or cancel."""
    assert step_of(step(f"failure: {failure}")).failure == failure


def test_where_a_step_starts() -> None:
    """``directory`` is relative to the checkout, or absolute."""
    assert container_of(step_of(step("directory: a/b"))).directory == "/headway/src/a/b"
    assert container_of(step_of(step("directory: /a"))).directory == "/a"


def test_pull() -> None:
    """``pull: true`` always pulls; otherwise an image is pulled only if it is absent."""
    assert of_kind(NamedImage, container_of(step_of(step("pull: true"))).image).pull
    assert not of_kind(NamedImage, container_of(step_of(step("pull: false"))).image).pull


def test_the_user() -> None:
    """``backend_options.docker.user`` is the user of the container."""
    assert container_of(step_of(step("backend_options: {docker: {user: 1000:1000}}"))).user == "1000:1000"


@pytest.mark.parametrize("more", ["commands: x", "entrypoint: x"])
def test_settings_with_commands(more: str) -> None:
    """``settings`` together with ``commands`` or ``entrypoint`` are an error."""
    (problem,) = problems_of(f"steps: [{{name: s, image: i, settings: {{a: b}}, {more}}}]")
    assert ": error: " in problem


def test_what_a_plugin_is() -> None:
    """A plugin has no commands, entrypoint or environment. Only plugins get DRONE_* variables."""
    plugin = step_of(
        "inputs: {TYPED: }\nsteps: [{name: s, image: i, settings: {a: b}}]", event("manual", inputs={"TYPED": "x"})
    )
    commands = step_of(f"inputs: {{TYPED: }}\n{step('')}", event("manual", inputs={"TYPED": "x"}))
    assert isinstance(plugin, PluginStep)
    assert isinstance(commands, CommandsStep)
    assert ("DRONE_REPO" in plugin.container.environment, "TYPED" in plugin.container.environment) == (True, False)
    assert ("DRONE_REPO" in commands.container.environment, "TYPED" in commands.container.environment) == (False, True)


def test_settings_with_environment() -> None:
    """A step with ``settings`` and ``environment`` gets PLUGIN_* variables, but does not count as a plugin."""
    container = container_of(step_of("steps: [{name: s, image: i, settings: {a: b}, environment: {C: d}}]"))
    assert value_of(container, "PLUGIN_A") == "b"
    assert value_of(container, "CI_STEP_TYPE") == "commands"


def test_services() -> None:
    """Services take commands, settings, conditions, environment and failure. In a list, they need names."""
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
    """The rules stand beside the cases."""
    assert bool(plan_of(step(f"when: {when}"), trigger).jobs) is runs


def test_status_of_several_conditions() -> None:
    """``status`` counts only in conditions that hold: a step runs on failure if one of them lists failure."""
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
    """Besides Woodpecker: with ``canceled`` in ``when.status``, cleanup steps run after a cancellation."""
    found = step_of(step(f"when: {{status: {status}}}"))
    assert (found.on_success, found.on_failure, found.on_canceled) == outcomes


def test_a_canceled_run_starts_no_further_workflow() -> None:
    job = job_of(f"when: {{status: [success, canceled]}}\n{ONE}")
    assert (job.on_success, job.on_failure) == (True, False)


@pytest.mark.parametrize("key", ["privileged: true", "volumes: [/a:/b]", "dns: 1.1.1.1", "network_mode: host"])
def test_trust(key: str) -> None:
    """Keys that reach the host are errors without the matching trust."""
    assert "needs trust in" in problems_of(step(key))[0]
    assert problems_of(step(key), context=TRUSTED) == []
    assert problems_of(step("network_mode: none"), context=CONTEXT) == []


def test_removed_names() -> None:
    """Variables that Woodpecker has removed get a hint with their new names."""
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
