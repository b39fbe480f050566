"""The rest of a job: services, matrix, checkout, workspace, labels, and a Dockerfile alone."""

import pytest

from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.context import Context, RepoInfo
from pipelines.plan import BuildStep, Checkout, NamedImage, PushStep, Service
from pipelines.problem import InvalidPipelineError
from pipelines.step_options.ready import CommandCheck, ExitCheck, HttpCheck, PortCheck, Ready
from pipelines.trigger import Trigger
from tests.support.pipelines import (
    TRUSTED,
    commands_of,
    container_of,
    job_of,
    of_kind,
    plan_of,
    plan_of_files,
    problems_of,
    pull_request,
    push,
    tag,
    value_of,
)

ONE = "steps: [{name: s, image: i, commands: x}]\n"


def service_of(text: str) -> Service:
    (service,) = job_of(f"services: {{{text}}}\n{ONE}", context=TRUSTED).services
    return service


@pytest.mark.parametrize(
    ("ready", "check"),
    [
        ("pg_isready -q", CommandCheck(command="pg_isready -q")),
        ("{port: 5432}", PortCheck(port=5432)),
        ("{http: 'http://:8080/health'}", HttpCheck(url="http://:8080/health")),
        ("{command: redis-cli ping}", CommandCheck(command="redis-cli ping")),
        ("{command: exit}", CommandCheck(command="exit")),
        ("exit", ExitCheck()),
        ("{exit: true, timeout: 5m}", ExitCheck()),
        ("", None),
    ],
)
def test_a_service_tells_when_it_is_ready(ready: str, check: Ready | None) -> None:
    assert service_of(f"db: {{image: d, ready: {ready}}}").ready == check


@pytest.mark.parametrize("ready", ["{}", "{port: 1, http: x}", "{port: 0}", "{port: 70000}", "{command: a, port: 1}",
                                   "{exit: true, port: 1}", "{exit: false}"])  # fmt: skip
def test_ready_is_exactly_one_check(ready: str) -> None:
    (problem,) = problems_of(f"services: {{db: {{image: d, ready: {ready}}}}}\n{ONE}")
    assert problem.startswith("1:34: error: 'ready' of service 'db' is not one check; write a command")


def test_the_time_to_get_ready() -> None:
    assert service_of("db: {image: d}").ready_timeout_s == 60
    assert service_of("db: {image: d, timeout: 2m}").ready_timeout_s == 120
    assert service_of("db: {image: d, timeout: 2m, ready: {port: 1, timeout: 5s}}").ready_timeout_s == 5


def test_a_service_has_environment_settings_and_commands() -> None:
    text = "db: {image: d, environment: {A: b}, settings: {c: d}, commands: [one, two], failure: ignore}"
    service = service_of(text)
    assert value_of(service.container, "A") == "b"
    assert value_of(service.container, "PLUGIN_C") == "d"
    assert value_of(service.container, "CI_STEP_TYPE") == "service"
    assert (service.commands, service.failure) == (("one", "two"), "ignore")


def test_a_service_starts_in_its_images_directory_unless_it_runs_commands() -> None:
    assert service_of("db: {image: d}").container.directory == ""
    assert service_of("db: {image: d, commands: x}").container.directory == "/headway/src"
    assert service_of("db: {image: d, directory: sub}").container.directory == "/headway/src/sub"


def test_values_from_outside_reach_the_commands_of_services_as_variables() -> None:
    text = (
        "services: {a: {image: d, commands: 'echo ${CI_COMMIT_MESSAGE//x/y}', "
        "ready: 'test ${CI_COMMIT_MESSAGE:0:3}'}}\n" + ONE
    )
    (service,) = job_of(text, push(message="$(x) $(x)")).services
    first = service.commands[0].removeprefix("echo ")[2:-1]
    second = of_kind(CommandCheck, service.ready).command.removeprefix("test ")[2:-1]
    assert value_of(service.container, first) == "$(y) $(y)"
    assert value_of(service.container, second) == "$(x"


@pytest.mark.parametrize("name", ["'a b'", "''", "_x", "'ä'"])
def test_a_service_is_reached_by_its_name_so_it_must_be_one(name: str) -> None:
    (problem,) = problems_of(f"services: [{{name: {name}, image: d}}]\n{ONE}")
    assert problem.startswith("1:19: error: a service cannot be named")


def test_services_have_names_of_their_own_and_images() -> None:
    assert problems_of(f"services: [{{name: a, image: d}}, {{name: a, image: d}}]\n{ONE}") == [
        "1:40: error: two services are named 'a'; give them different names"
    ]
    (missing,) = problems_of(f"services: {{a: {{environment: {{}}}}}}\n{ONE}")
    assert missing.startswith("1:15: error: service 'a' has no image; add 'image: NAME', or image: {build: STEP}")
    assert "wants the image of 'x', which no" in problems_of(f"services: {{a: {{image: {{build: x}}}}}}\n{ONE}")[0]


def test_services_need_trust_too() -> None:
    (problem,) = problems_of(f"services: {{a: {{image: d, volumes: [/a:/b]}}}}\n{ONE}")
    assert problem.startswith("1:26: error: 'volumes' in service 'a' needs trust in 'volumes'")
    local = Context(RepoInfo("a/b", ""), local=True)
    assert problems_of(f"services: {{a: {{image: d, volumes: [/a:/b]}}}}\n{ONE}", context=local) == []


def cells_of(matrix: str) -> list[dict[str, str]]:
    return [job.cell for job in plan_of(f"matrix: {matrix}\n{ONE}").jobs]


@pytest.mark.parametrize(
    ("matrix", "cells"),
    [
        ("{B: [1, 2], A: [x, y]}", [{"A": a, "B": b} for a in "xy" for b in "12"]),
        ("{GO: [1.20, '1.21']}", [{"GO": "1.20"}, {"GO": "1.21"}]),
        ("{include: [{A: 1, B: x}, {A: 2}]}", [{"A": "1", "B": "x"}, {"A": "2"}]),
        ("{include: [{A: 1}], B: [1, 2]}", [{"A": "1"}]),
        ("{include: [], B: [1, 2]}", [{"B": "1"}, {"B": "2"}]),
        ("{include: , B: [true, ]}", [{"B": "true"}]),
        ("{A: [null, True]}", [{"A": ""}, {"A": "true"}]),
        ("", [{}]),
        ("{A: []}", [{}]),
    ],
)
def test_the_cells_of_a_matrix(matrix: str, cells: list[dict[str, str]]) -> None:
    assert cells_of(matrix) == cells


def test_each_cell_is_a_job_with_its_values() -> None:
    text = """
    matrix:
      GO: ["1.25", "1.26"]
      OS: [linux]
    steps:
      test: {image: "golang:${GO}-${OS}", commands: [go test], environment: {OWN: "${GO}"}}
      tool: {image: p, settings: {go: "${GO}"}}
    """
    first, second = plan_of(text).jobs
    assert [job.number for job in (first, second)] == [1, 2]
    assert [job.name for job in (first, second)] == ["headway", "headway"]
    assert of_kind(NamedImage, container_of(second.steps[0]).image).name == "golang:1.26-linux"
    assert value_of(container_of(second.steps[0]), "GO") == "1.26"
    assert "GO" not in container_of(second.steps[1]).environment
    assert value_of(container_of(second.steps[1]), "PLUGIN_GO") == "1.26"


def test_a_value_of_the_matrix_is_inserted_unchanged() -> None:
    text = "matrix: {include: [{LIST: '[a, b]'}]}\nsteps: [{name: s, image: i, commands: ${LIST}}]"
    assert commands_of(job_of(text).steps[0]) == ("a", "b")


def test_the_matrix_is_found_although_the_text_is_yaml_only_with_its_values() -> None:
    text = "matrix: {A: [x, y]}\nsteps: [{name: s, image: i, commands: [echo ${A}, b]}]"
    assert [commands_of(job.steps[0]) for job in plan_of(text).jobs] == [("echo x", "b"), ("echo y", "b")]


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        ("[a]", "1:9: error: 'matrix' is a map of lists, not a list; write NAME: [VALUE, VALUE]"),
        ("{A: x}", "1:13: error: the axis 'A' of the matrix is a list of values, not a single value; write A: [x]"),
        ("{A: [[x]]}", "1:14: error: a value of the matrix is a single value, not a list; write one text"),
        (
            "{include: [x]}",
            "1:20: error: an item of 'include' is a map of values, not a single value; write - NAME: VALUE",
        ),
        (
            "{include: {A: x}}",
            "1:19: error: the axis 'include' of the matrix is a list of values, not a map; write a list",
        ),
    ],
)
def test_an_invalid_matrix_is_reported(matrix: str, problem: str) -> None:
    assert problems_of(f"matrix: {matrix}\n{ONE}") == [problem]


@pytest.mark.slow
def test_a_matrix_has_a_limit() -> None:
    axes = ", ".join(f"A{n}: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]" for n in range(4))
    hint = "list those that matter under 'include'"
    assert problems_of(f"matrix: {{{axes}}}\n{ONE}") == [
        f"1:9: error: this matrix has 10000 combinations, and at most 256 are run; {hint}"
    ]
    sixteen = ", ".join(map(str, range(16)))
    assert len(plan_of(f"matrix: {{A: [{sixteen}], B: [{sixteen}]}}\n{ONE}").jobs) == 256
    assert "has 257 combinations" in problems_of(f"matrix: {{A: [{', '.join(map(str, range(257)))}]}}\n{ONE}")[0]
    cells = ", ".join(f"{{A: {number}}}" for number in range(256))
    assert len(plan_of(f"matrix: {{include: [{cells}]}}\n{ONE}").jobs) == 256
    cells = ", ".join("{A: 1}" for _ in range(257))
    assert "has 257 combinations" in problems_of(f"matrix: {{include: [{cells}]}}\n{ONE}")[0]


def test_all_jobs_together_have_a_limit() -> None:
    axes = "matrix: {A: [" + ", ".join(map(str, range(200))) + "]}\n"
    with pytest.raises(InvalidPipelineError, match="this pipeline has 400 jobs, and at most 256 are run"):
        plan_of_files({".headway/a.yml": axes + ONE, ".headway/b.yml": axes + ONE})


def test_the_problems_of_a_matrix_are_reported_once() -> None:
    assert len(problems_of("matrix: {A: [1, 2, 3]}\nsteps: [{name: s, image: i, comands: x}]")) == 1
    assert len(problems_of("matrix: {A: [1, 2, 3]}\nsteps: [{name: s, image: i, commands: '${X}'}]")) == 1


@pytest.mark.parametrize(
    ("clone", "checkout"),
    [
        ("", Checkout()),
        ("skip_clone: true", None),
        ("skip_clone: false", Checkout()),
        ("clone: {git: {image: woodpeckerci/plugin-git, settings: {depth: 5}}}", Checkout(depth=5)),
        (
            "clone: {git: {image: 'woodpeckerci/plugin-git:2.1', settings: {depth: 0, tags: true}}}",
            Checkout(depth=0, tags=True),
        ),
        ("clone: [{name: git, image: drone/git}]", None),
        (
            "clone: {git: {settings: {recursive: true, lfs: 'true', partial: false}}}",
            Checkout(submodules=True, lfs=True),
        ),
        ("clone: {git: {settings: {depth: '3'}, when: {event: push}}}", Checkout(depth=3)),
    ],
)
def test_the_checkout(clone: str, checkout: Checkout | None) -> None:
    assert job_of(f"{ONE}{clone}").checkout == checkout


def test_other_clone_steps_are_steps() -> None:
    job = job_of(f"{ONE}clone: {{own: {{image: alpine, commands: git clone x}}}}")
    assert job.checkout is None
    assert [(step.name, step.needs) for step in job.steps] == [("own", ()), ("s", (1,))]


def test_in_a_graph_every_step_waits_for_the_clone_steps() -> None:
    text = """
    clone:
      one: {image: a, commands: x}
      two: {image: a, commands: x}
    steps:
      s: {image: i, commands: x, depends_on: []}
      t: {image: i, commands: x}
    """
    assert [(step.name, step.needs) for step in job_of(text).steps] == [
        ("one", ()),
        ("two", (1,)),
        ("s", (1, 2)),
        ("t", (1, 2)),
    ]


def test_settings_of_the_checkout_are_checked() -> None:
    text = f"{ONE}clone: {{git: {{settings: {{dept: 5, depth: all}}}}}}"
    assert problems_of(text) == [
        "2:26: warning: the setting 'dept' of the checkout has no effect; did you mean 'depth'?",
        "2:42: error: the depth of the checkout is a number of commits, not 'all'; 0 means all",
    ]


@pytest.mark.parametrize(
    ("workspace", "base", "path"),
    [
        ("", "/headway", "/headway/src"),
        ("workspace: {base: /go, path: src/app}", "/go", "/go/src/app"),
        ("workspace: {path: x/../y}", "/headway", "/headway/y"),
        ("workspace: {base: go}", "/go", "/go/src"),
    ],
)
def test_the_workspace(workspace: str, base: str, path: str) -> None:
    job = job_of(f"{ONE}{workspace}")
    assert (job.workspace_base, job.workspace) == (base, path)
    assert container_of(job.steps[0]).directory == path
    assert value_of(container_of(job.steps[0]), "CI_WORKSPACE") == path


def test_labels_and_the_time_limit_of_a_workflow() -> None:
    job = job_of(f"{ONE}labels: {{platform: linux/arm64, empty: ''}}\ntimeout: 1h")
    assert (job.labels, job.timeout_s) == ({"platform": "linux/arm64"}, 3600)


def test_keys_without_effect_get_a_warning() -> None:
    assert problems_of("steps: [{image: i, commands: x, backend_options: {kubernetes: {a: {b: c}}}}]") == [
        "1:51: warning: options for Kubernetes have no effect here"
    ]


REPO = RepoInfo("me/app", "https://x")


def test_a_dockerfile_alone_is_built() -> None:
    plan = dockerfile_plan(Context(REPO), push())
    assert [type(step) for step in plan.jobs[0].steps] == [BuildStep]
    assert plan.left_out[0].why == "the repository's settings name no place to push to"


@pytest.mark.parametrize(
    ("trigger", "tags"), [(push(), ("latest",)), (tag("v2.0.1"), ("2", "2.0", "2.0.1")), (None, ("latest",))]
)
def test_a_dockerfile_alone_is_pushed_where_the_settings_say(trigger: Trigger | None, tags: tuple[str, ...]) -> None:
    build, pushed = dockerfile_plan(Context(REPO, push_repo="r.example.org/me/app"), trigger).jobs[0].steps
    assert (build.name, build.number) == ("build", 1)
    assert pushed == PushStep(number=2, name="push", needs=(1,), image=1, repos=("r.example.org/me/app",), tags=tags)


@pytest.mark.parametrize("trigger", [push("topic"), pull_request()])
def test_branches_and_pull_requests_of_a_dockerfile_alone_are_not_pushed(trigger: Trigger) -> None:
    plan = dockerfile_plan(Context(REPO, push_repo="me/app"), trigger)
    assert len(plan.jobs[0].steps) == 1
    assert plan.left_out[0].why == "only the default branch and git tags are pushed"


def test_an_invalid_repository_to_push_to_is_refused() -> None:
    with pytest.raises(InvalidPipelineError, match="'Me/App', where this repository pushes to, is not"):
        dockerfile_plan(Context(REPO, push_repo="Me/App"), push())


@pytest.mark.parametrize("more", ["", ", sources: src"], ids=["plain", "that is reused"])
def test_an_axis_with_the_name_of_a_variable_is_the_same_in_the_file_and_in_the_step(more: str) -> None:
    text = f"""
    matrix: {{CI_COMMIT_BRANCH: [a]}}
    when: {{branch: main}}
    steps: [{{name: t, image: i, commands: 'echo ${{CI_COMMIT_BRANCH}}', when: {{branch: main}}{more}}}]
    """
    (step,) = job_of(text).steps
    assert commands_of(step) == ("echo a",)
    assert value_of(container_of(step), "CI_COMMIT_BRANCH") == "a"
