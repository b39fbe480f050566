"""Inputs of a run: what a file may declare, what a run may be given, and names that would run code."""

import pytest

from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import PipelineFile
from pipelines.environment.variable_names import NAME_CHARS_MAX, why_not_a_name
from pipelines.inputs import (
    CHOICE_CHARS_MAX,
    CHOICES_COUNT_MAX,
    DESCRIPTION_CHARS_MAX,
    INPUTS_COUNT_MAX,
    wrong_names_and_sizes,
)
from pipelines.linter.linter import lint_files
from pipelines.problem import InvalidPipelineError
from pipelines.trigger import Trigger
from tests.support.pipelines import (
    CONTEXT,
    container_of,
    event,
    job_of,
    plan_of,
    plan_of_files,
    problems_of,
    pull_request,
    push,
    value_of,
)

STEPS = "steps: [{name: s, image: i, commands: 'echo $LEVEL'}]"
TYPED = """\
inputs:
  LEVEL: {type: choice, choices: [smoke, full], default: smoke, description: How much is tested}
  DRY: {type: boolean, default: False}
  COUNT: {type: number}
  NOTE:
  WHO: Ada
"""
LOADERS = (
    *("PATH", "path", "IFS", "LD_PRELOAD", "ld_preload", "LD_LIBRARY_PATH", "LD_AUDIT", "DYLD_INSERT_LIBRARIES"),
    *("BASH_ENV", "bash_env", "ENV", "BASH_FUNC_ls", "BASHOPTS", "SHELLOPTS", "PROMPT_COMMAND", "PS1", "PS4", "CDPATH"),
    *(
        "PYTHONSTARTUP",
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONINSPECT",
        "PYTHONBREAKPOINT",
        "PIP_INDEX_URL",
        "PIP_CONFIG_FILE",
    ),
    *("NODE_OPTIONS", "NODE_PATH", "npm_config_script_shell", "NPM_CONFIG_REGISTRY", "YARN_RC_FILENAME"),
    *("PERL5OPT", "PERL5LIB", "PERL5DB", "PERLLIB", "RUBYOPT", "RUBYLIB", "GEM_HOME", "BUNDLE_GEMFILE"),
    *("GIT_SSH_COMMAND", "GIT_EXEC_PATH", "GIT_CONFIG_COUNT", "GIT_DIR", "SSH_ASKPASS", "GIT_PROXY_COMMAND"),
    *("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "MAVEN_OPTS", "GRADLE_OPTS", "CLASSPATH"),
    *("GOFLAGS", "GOPROXY", "RUSTC_WRAPPER", "RUSTC", "CARGO_BUILD_RUSTC", "MAKEFLAGS", "CC"),
    *("EDITOR", "VISUAL", "PAGER", "LESSOPEN", "BROWSER", "HOME", "SHELL", "TMPDIR", "XDG_CONFIG_HOME", "ZDOTDIR"),
    *("http_proxy", "HTTPS_PROXY", "SSL_CERT_FILE", "CURL_HOME", "DOCKER_HOST", "KUBECONFIG", "AWS_CONFIG_FILE"),
    *("CI", "ci", "CI_COMMIT_SHA", "ci_repo", "HEADWAY_URL", "PLUGIN_X", "DRONE_X", "GCONV_PATH", "HOSTALIASES"),
    *("PHPRC", "LUA_INIT", "DOTNET_STARTUP_HOOKS", "CORECLR_PROFILER_PATH", "R_PROFILE", "ERL_FLAGS", "_"),
)


def manual(**given: str) -> Trigger:
    return event("manual", inputs=given)


def environment(text: str, trigger: Trigger, path: str = ".headway.yml") -> dict[str, str]:
    container = container_of(job_of(text, trigger, path=path).steps[0])
    return {name: value_of(container, name) for name in ("LEVEL", "DRY", "COUNT", "NOTE", "WHO", "FREE")
            if name in container.environment}  # fmt: skip


@pytest.mark.parametrize("trigger", [manual(), push(), pull_request(), event("cron"), event("deployment")])
def test_without_a_value_an_input_has_its_default(trigger: Trigger) -> None:
    assert environment(TYPED + STEPS, trigger) == {"LEVEL": "smoke", "DRY": "false", "WHO": "Ada"}


def test_a_given_value_replaces_the_default() -> None:
    given = {"LEVEL": "full", "DRY": "true", "COUNT": "-1.5", "NOTE": "$(env | rev)\n`id`", "WHO": "B"}
    assert environment(TYPED + STEPS, manual(**given)) == given


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"LEVEL": "max"}, "3: error: the input LEVEL cannot be 'max': it is one of smoke, full"),
        ({"DRY": "yes"}, "the input DRY cannot be 'yes': it is true or false"),
        ({"COUNT": "1; id"}, "the input COUNT cannot be '1; id': it is a number"),
        ({"COUNT": "1\n"}, "it is a number"),
        ({"LEVL": "full"}, "1:1: error: the input LEVL is not declared; did you mean LEVEL?"),
        ({"X": "1"}, "the input X is not declared; this pipeline declares COUNT, DRY, LEVEL, NOTE, WHO; declare it"),
        ({"BASH_ENV": "$(env | rev)"}, "'BASH_ENV' cannot be an input: a shell, an interpreter or a loader"),
    ],
)
def test_what_does_not_fit_the_declaration_is_refused(given: dict[str, str], sentence: str) -> None:
    assert sentence in "\n".join(problems_of(TYPED + STEPS, manual(**given)))


def test_an_administrator_may_give_no_more_to_a_file_that_can_declare() -> None:
    assert "not declared" in problems_of(STEPS, event("manual", inputs={"A": "1"}, inputs_by_admin=True))[0]


def test_a_file_of_woodpecker_takes_undeclared_inputs_from_an_administrator_only() -> None:
    by_admin = event("manual", inputs={"FREE": "1"}, inputs_by_admin=True)
    assert environment(STEPS, by_admin, ".woodpecker.yml") == {"FREE": "1"}
    for trigger in (manual(FREE="1"), event("cron", inputs={"FREE": "1"})):
        (problem,) = problems_of(STEPS, trigger, path=".woodpecker.yml")
        assert "the input FREE is not declared; this pipeline declares none" in problem


@pytest.mark.parametrize("name", LOADERS)
def test_a_variable_from_which_a_program_takes_code_is_no_input(name: str) -> None:
    by_admin = event("manual", inputs={name: "x"}, inputs_by_admin=True)
    assert "cannot be an input" in problems_of(STEPS, by_admin, path=".woodpecker.yml")[0]
    (problem,) = problems_of(f"inputs: {{'{name}': x}}\n{STEPS}")
    assert f"1:10: error: the input '{name}' cannot have this name" in problem
    linted = lint_files([PipelineFile(".headway.yml", f"inputs: {{'{name}': x}}\n{STEPS}".encode())])
    assert any("cannot have this name" in str(found) for found in linted)


@pytest.mark.parametrize(
    "name", ["", "1A", "A-B", "A B", "A=B", "Ä", "A\n", "A\0", "BASH_FUNC_ls%%", "a" * (NAME_CHARS_MAX + 1)]
)
def test_a_name_is_a_plain_word(name: str) -> None:
    assert why_not_a_name(name)


@pytest.mark.parametrize("name", ["a", "_A", "LEVEL", "level2", "TARGET", "VERSION", "DRY_RUN", "CIRCLE", "ENVIRONMENT",
                                  "PATHS", "GITHUB_REF", "a" * NAME_CHARS_MAX])  # fmt: skip
def test_other_names_are_free(name: str) -> None:
    assert why_not_a_name(name) == ""


def test_a_required_input_is_needed_where_a_person_gives_inputs_and_its_workflow_runs() -> None:
    text = f"inputs: {{TARGET: {{required: true}}}}\n{STEPS}"
    for name in ("manual", "deployment", "cron"):
        assert problems_of(text, event(name)) == [
            "1:10: error: the input TARGET needs a value; start the run with TARGET=VALUE"
        ]
        assert problems_of(text, event(name, inputs={"TARGET": ""})) != []
        assert problems_of(text, event(name, inputs={"TARGET": "x"})) == []
        assert problems_of(f"when: {{event: push}}\n{text}", event(name)) == []
    assert problems_of(text, push()) == []
    assert problems_of(f"inputs: {{TARGET: {{required: true, default: x}}}}\n{STEPS}", manual()) == []


def test_a_workflow_gets_the_inputs_that_it_declares_and_no_others() -> None:
    files = {".headway/a.yml": f"inputs: {{A: 1}}\n{STEPS}", ".headway/b.yml": f"inputs: {{B: 2, A: 3}}\n{STEPS}",
             ".headway/c.yml": STEPS}  # fmt: skip
    plan = plan_of_files(files, manual(B="x"))
    found = {job.name: container_of(job.steps[0]).environment for job in plan.jobs}
    assert {name: ("A" in own, "B" in own) for name, own in found.items()} == {
        "a": (True, False), "b": (True, True), "c": (False, False),
    }  # fmt: skip
    assert [(each.name, each.default) for each in plan.inputs] == [("A", "1"), ("B", "2")]


def test_what_a_file_with_errors_declares_is_not_known() -> None:
    problems = problems_of(f"inputs: {{A: 1}}\n{STEPS}\nstep: x", manual(B="x"))
    assert ["unknown key" in problem for problem in problems] == [True]


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ("{type: choice}", "is a choice without 'choices'"),
        ("{type: number, choices: [1]}", "is a number and has 'choices'"),
        ("{choices: [a], options: [b]}", "has 'choices' and 'options', which are the same"),
        ("{choices: [a, b], default: c}", "has the default 'c': it is one of a, b"),
        ("{choices: ['']}", "a choice that is empty or longer"),
        ("{type: boolean, default: 1}", "has the default '1': it is true or false"),
        ("{type: number, default: ten}", "has the default 'ten': it is a number"),
        ("{type: text}", "'text' is not a type of inputs; the types are string, boolean, number, choice"),
        ("{chioces: [a]}", "unknown key 'chioces'; did you mean 'choices'?"),
        ("[a]", "a default value, or a map with 'type' and the like, is wanted here, not a list"),
    ],
)
def test_a_wrong_declaration_is_reported(declared: str, sentence: str) -> None:
    assert sentence in "\n".join(problems_of(f"inputs:\n  A: {declared}\n{STEPS}"))


def test_inputs_are_a_map() -> None:
    assert "a map is wanted here, not a list" in problems_of(f"inputs: [A=1]\n{STEPS}")[0]
    assert "a map is wanted here, not a single value" in problems_of(f"inputs: A\n{STEPS}")[0]


def test_an_input_that_the_matrix_would_hide_is_reported() -> None:
    assert "is also an axis of the matrix" in problems_of(f"inputs: {{A: 1}}\nmatrix: {{A: [1, 2]}}\n{STEPS}")[0]


def test_options_are_choices_and_choices_make_a_choice() -> None:
    (found,) = plan_of(f"inputs: {{A: {{options: [x, y]}}}}\n{STEPS}").inputs
    assert (found.type, found.choices) == ("choice", ("x", "y"))


def test_limits_of_declarations() -> None:
    def wrong(**more: str) -> list[str]:
        keys = ", ".join(f"{key}: {value}" for key, value in more.items())
        return problems_of(f"inputs: {{A: {{{keys}}}}}\n{STEPS}")

    def choices(count: int, length: int = 1) -> str:
        return str([f"{number:0{length}}" for number in range(count)])

    assert wrong(choices=choices(CHOICES_COUNT_MAX, 3)) == []
    assert f"more than {CHOICES_COUNT_MAX} choices" in wrong(choices=choices(CHOICES_COUNT_MAX + 1, 3))[0]
    assert wrong(choices=choices(1, CHOICE_CHARS_MAX)) == []
    assert "longer than" in wrong(choices=choices(1, CHOICE_CHARS_MAX + 1))[0]
    assert wrong(description="x" * DESCRIPTION_CHARS_MAX) == []
    assert "has a description of more than" in wrong(description="x" * (DESCRIPTION_CHARS_MAX + 1))[0]
    many = [f"A{number}: 1" for number in range(INPUTS_COUNT_MAX)]
    assert problems_of(f"inputs: {{{', '.join(many)}}}\n{STEPS}") == []
    assert "at most 50 inputs" in problems_of(f"inputs: {{{', '.join([*many, 'B: 1'])}}}\n{STEPS}")[0]


def test_a_run_has_a_limited_number_of_inputs() -> None:
    at_limit = {f"A{number}": "" for number in range(INPUTS_COUNT_MAX)}
    assert list(wrong_names_and_sizes(at_limit)) == []
    assert list(wrong_names_and_sizes({**at_limit, "B": ""})) == ["The run has 51 inputs; the limit is 50."]


def test_an_input_is_never_put_into_the_text_of_the_file() -> None:
    text = f"inputs: {{LEVEL: x}}\n{STEPS.replace('$LEVEL', '${LEVEL}')}"
    for trigger in (manual(LEVEL="$(id)"), push()):
        (problem,) = problems_of(text, trigger)
        assert "${LEVEL} is known only when the step runs and becomes empty; write $LEVEL" in problem
        assert job_of(text, trigger).steps[0].model_dump()["commands"] == ("echo ",)


def test_a_dockerfile_alone_takes_no_inputs() -> None:
    with pytest.raises(InvalidPipelineError, match=r"but a Dockerfile alone declares none; add a \.headway\.yml"):
        dockerfile_plan(CONTEXT, manual(A="1"))
    assert dockerfile_plan(CONTEXT, manual()).jobs


def test_the_inputs_of_a_run_are_those_of_all_its_files() -> None:
    files = [PipelineFile(f".headway/{name}.yml", f"inputs: {{A: {{required: {flag}}}}}\n{STEPS}".encode())
             for name, flag in (("a", "false"), ("b", "true"))]  # fmt: skip
    (found,) = compile_pipeline(files, push(), CONTEXT).inputs
    assert found.required


def test_the_condition_of_a_workflow_sees_its_inputs() -> None:
    text = """
    inputs: {TARGET: {choices: [staging, production], default: staging}}
    when: {evaluate: 'TARGET == "production"'}
    steps: [{image: i, commands: x}]
    """
    assert plan_of(text, event("manual", inputs={"TARGET": "production"})).jobs
    plan = plan_of(text, event("manual"))
    assert [(left.what, left.why) for left in plan.left_out] == [
        ("workflow 'headway'", 'evaluate says no: TARGET == "production"')
    ]
    # An input cannot stand for a variable of the run.
    assert plan_of("when: {evaluate: 'CI_REPO == \"me/app\"'}\nsteps: [{image: i, commands: x}]").jobs


def test_the_condition_of_a_woodpecker_workflow_sees_what_an_administrator_gave() -> None:
    text = "when: {evaluate: 'RUN_A == \"true\"'}\nsteps: [{image: i, commands: x}]"
    given = event("manual", inputs={"RUN_A": "true"}, inputs_by_admin=True)
    assert plan_of(text, given, path=".woodpecker.yml").jobs
    assert not plan_of(text, event("manual"), path=".woodpecker.yml").jobs
