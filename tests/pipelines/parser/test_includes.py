"""Fragments: their steps and services stand in the place of the include, and every problem has its own place."""

import json
from collections.abc import Mapping

import pytest

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import PipelineFile
from pipelines.inputs import INPUTS_COUNT_MAX
from pipelines.linter.linter import lint_files
from pipelines.parser.fragment_addresses import PATH_CHARACTERS_MAX, REPO_CHARACTERS_MAX, Address, wrong_address
from pipelines.parser.fragment_inputs import NAME_CHARACTERS_MAX
from pipelines.parser.fragments import Fragment, included
from pipelines.parser.includes import INCLUDES_COUNT_MAX, LEVELS_MAX
from pipelines.parser.matrix import ALL_CELLS_CHARACTERS_MAX
from pipelines.plan import CommandsStep, JobPlan, NamedImage, Plan, PluginStep
from pipelines.problem import InvalidPipelineError
from pipelines.syntax.yaml import NODES_COUNT_MAX, TEXT_BYTES_MAX
from pipelines.trigger import Trigger
from tests.support.pipelines import TRUSTED, push

STEP = "  - {name: own, image: 'alpine:3.22', commands: echo own}\n"
MAIN = f"steps:\n  - include: ci/test.yml\n{STEP}"
SHA = "0123456789" * 4
SIMPLE = "steps:\n  - {name: test, image: 'python:3.13', commands: pytest}\n"


def at(where: str) -> Address:
    """``ci/test.yml``, or ``REPO@SHA:ci/test.yml``."""
    address, mark, path = where.rpartition(":")
    repo, _, sha = address.rpartition("@")
    return Address(path, repo, sha) if mark else Address(where)


def plan_with(main: str, fragments: Mapping[str, str | bytes], trigger: Trigger | None = None) -> Plan:
    files = [PipelineFile(".headway.yml", main.encode())]
    read = {at(where): Fragment(text.encode() if isinstance(text, str) else text) for where, text in fragments.items()}
    return compile_pipeline(files, trigger or push(), TRUSTED, read)


def job_with(main: str, fragments: Mapping[str, str | bytes], trigger: Trigger | None = None) -> JobPlan:
    plan = plan_with(main, fragments, trigger)
    assert plan.warnings == ()
    (job,) = plan.jobs
    return job


def problems_with(main: str, fragments: Mapping[str, str | bytes]) -> list[str]:
    try:
        return [str(problem) for problem in plan_with(main, fragments).warnings]
    except InvalidPipelineError as error:
        return [str(problem) for problem in error.problems]


def only_problem(main: str, fragments: Mapping[str, str | bytes]) -> str:
    (problem,) = problems_with(main, fragments)
    return problem


def commands_of(job: JobPlan, name: str) -> CommandsStep:
    (step,) = (step for step in job.steps if step.name == name)
    assert isinstance(step, CommandsStep)
    return step


def with_inputs(inputs: str, given: str, use: str = "echo ${X}") -> tuple[str, dict[str, str]]:
    main = f"steps:\n  - include: ci/test.yml\n    with: {given}\n"
    steps = f"  - {{name: test, image: 'alpine:3', commands: {json.dumps(use)}}}\n"
    return main, {"ci/test.yml": f"inputs: {inputs}\nsteps:\n{steps}"}


def test_the_steps_of_a_fragment_stand_in_the_place_of_its_include() -> None:
    main = f"steps:\n  - {{name: first, image: 'alpine:3', commands: x}}\n  - include: ci/test.yml\n{STEP}"
    assert [step.name for step in job_with(main, {"ci/test.yml": SIMPLE}).steps] == ["first", "test", "own"]


def test_a_fragment_brings_services_beside_those_of_the_file() -> None:
    fragment = "services:\n  db: {image: 'postgres:17'}\nsteps: []\n"
    main = f"services:\n  - {{name: cache, image: 'redis:8'}}\n{MAIN}"
    assert [each.name for each in job_with(main, {"ci/test.yml": fragment}).services] == ["cache", "db"]
    only_services = "services:\n  db: {image: 'postgres:17'}\n"
    assert [each.name for each in job_with(MAIN, {"ci/test.yml": only_services}).services] == ["db"]


def test_steps_of_a_fragment_may_be_a_map_from_name_to_step() -> None:
    fragment = "steps:\n  unit: {image: 'alpine:3', commands: x}\n"
    assert [step.name for step in job_with(MAIN, {"ci/test.yml": fragment}).steps] == ["unit", "own"]


def test_a_fragment_may_include_another() -> None:
    fragments = {
        "ci/test.yml": f"steps:\n  - include: ci/lint.yml\n{SIMPLE[7:]}",
        "ci/lint.yml": SIMPLE.replace("test", "lint"),
    }
    assert [step.name for step in job_with(MAIN, fragments).steps] == ["lint", "test", "own"]


def test_steps_depend_on_steps_across_the_files() -> None:
    main = MAIN + "    depends_on: [test]\n".replace("    ", "  - {name: last, image: 'alpine:3', commands: x, ", 1)
    main = main.rstrip("\n") + "}\n"
    job = job_with(main, {"ci/test.yml": SIMPLE})
    assert {step.name: step.needs for step in job.steps}["last"] == (1,)


def test_an_input_has_the_value_that_is_given_or_its_default() -> None:
    main, fragments = with_inputs("{X: here, Y: default}", "{X: there}", "echo ${X} ${Y}")
    assert commands_of(job_with(main, fragments), "test").commands == ("echo there default",)


@pytest.mark.parametrize(
    "value", ["a: b", "- x", "'\"", "#no", "$(reboot)", "a\nb: c", "${CI_COMMIT_SHA", "*x", "{[", "; ls"]
)
def test_no_value_can_become_yaml_or_shell(value: str) -> None:
    main = f"steps:\n  - include: ci/test.yml\n    with: {{X: {json.dumps(value.replace('${', '$${'))}}}\n"
    fragment = (
        "inputs: {X: }\nsteps:\n  - {name: test, image: 'alpine:3', commands: echo ${X}, environment: {IT: '${X}'}}\n"
    )
    step = commands_of(job_with(main, {"ci/test.yml": fragment}), "test")
    assert step.container.environment["IT"] == (value,)
    assert value not in "".join(step.commands)
    assert list(step.container.environment.values()).count((value,)) == 2


def test_a_value_never_sets_a_variable_with_the_name_of_the_input() -> None:
    main, fragments = with_inputs("{PATH: }", "{PATH: '/x y'}", "echo ${PATH}")
    step = commands_of(job_with(main, fragments), "test")
    assert "PATH" not in step.container.environment
    assert step.commands[0].startswith("echo ${HEADWAY_TEXT_")


def test_numbers_and_flags_are_no_texts() -> None:
    declared = "inputs:\n  N: {type: number}\n  B: {type: boolean}\n"
    settings = "{n: '${N}', m: ${N}, b: ${B}}"
    fragment = f"{declared}steps:\n  - {{name: p, image: 'a/b:1', settings: {settings}, pull: ${{B}}}}\n"
    main = "steps:\n  - include: ci/test.yml\n    with: {N: 3, B: TRUE}\n"
    (step,) = job_with(main, {"ci/test.yml": fragment}).steps
    assert isinstance(step, PluginStep)
    assert step.container.image == NamedImage(name="a/b:1", pull=True)
    assert {name: text for name, text in step.container.environment.items() if name.startswith("PLUGIN_")} == {
        "PLUGIN_N": ("3",), "PLUGIN_M": ("3",), "PLUGIN_B": ("true",),
    }  # fmt: skip


def test_the_same_fragment_may_be_included_with_other_values() -> None:
    main = "steps:\n" + "".join(f"  - include: ci/test.yml\n    with: {{V: '{each}'}}\n" for each in ("3.12", "3.13"))
    fragment = "inputs: {V: }\nsteps:\n  - {name: 'test-${V}', image: 'python:${V}', commands: pytest}\n"
    assert [step.name for step in job_with(main, {"ci/test.yml": fragment}).steps] == ["test-3.12", "test-3.13"]


def test_an_axis_of_the_matrix_is_given_by_with() -> None:
    main = "matrix: {PY: ['3.12', '3.13']}\nsteps:\n  - include: ci/test.yml\n    with: {V: '${PY}'}\n"
    fragment = "inputs: {V: }\nsteps:\n  - {name: test, image: 'python:${V}', commands: pytest}\n"
    images = [commands_of(job, "test").container.image for job in plan_with(main, {"ci/test.yml": fragment}).jobs]
    assert images == [NamedImage(name="python:3.12"), NamedImage(name="python:3.13")]
    silent = fragment.replace("pytest", "pytest ${PY}")
    assert "known only when the step runs" in problems_with(main, {"ci/test.yml": silent})[0]


def test_an_axis_with_values_from_outside_is_no_variable_of_a_fragment_either() -> None:
    main = "matrix: {B: ['${CI_COMMIT_BRANCH}', x]}\nsteps:\n  - include: ci/test.yml\n"
    fragment = "steps:\n  - {name: test, image: 'alpine:3', commands: echo ${B}}\n"
    assert "known only when the step runs" in problems_with(main, {"ci/test.yml": fragment})[0]


def test_a_fragment_knows_the_variables_of_the_run_and_is_read_for_each_run() -> None:
    fragment = "steps:\n  - {name: test, image: 'alpine:3', commands: echo ${CI_COMMIT_BRANCH}}\n"
    job = job_with(MAIN, {"ci/test.yml": fragment}, push("topic"))
    assert commands_of(job, "test").commands == ("echo topic",)


def test_a_problem_has_its_place_in_the_fragment_and_names_the_include() -> None:
    fragment = "steps:\n  - {name: test, image: 'python:3.13', comands: pytest}\n"
    problems = problems_with(MAIN, {"ci/test.yml": fragment})
    assert problems[0].startswith(
        "ci/test.yml:2:40: error: unknown key 'comands' in step 'test' (included at .headway.yml:2:14); did"
    )
    inner = {"ci/test.yml": "steps:\n  - include: ci/in.yml\n", "ci/in.yml": fragment}
    assert "(included at ci/test.yml:2:14, .headway.yml:2:14)" in problems_with(MAIN, inner)[0]


def test_lint_reports_the_same_line_of_two_files() -> None:
    main = "steps:\n  - include: a.yml\n  - include: b.yml\n"
    wrong = "steps:\n  - {image: 'alpine:3', comands: x}\n"
    fragments = {Address(name): Fragment(wrong.encode()) for name in ("a.yml", "b.yml")}
    problems = lint_files([PipelineFile(".headway.yml", main.encode())], fragments=fragments)
    assert [each.file for each in problems if "comands" in each.message] == ["a.yml", "b.yml"]


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ("include: ../x.yml", "has a part that is empty, '.' or '..'"),
        ("include: ./x.yml", "has a part that is empty, '.' or '..'"),
        ("include: ci//x.yml", "has a part that is empty, '.' or '..'"),
        ("include: /etc/x.yml", "is not a path of the repository"),
        ("include: 'c:\\x.yml'", "is not a path of the repository"),
        ('include: "a\\nb.yml"', "is not a path of the repository"),
        ("include: .git/x.yml", "is in a folder of git itself"),
        ("include: a/.GIT/x.yml", "is in a folder of git itself"),
        ("include: ci/x.txt", "does not end in .yml or .yaml"),
        ("include: .headway/x.yml", "is that of a pipeline file"),
        (f"include: {'x' * (PATH_CHARACTERS_MAX - 3)}.yml", f"has more than {PATH_CHARACTERS_MAX} characters"),
        ("include: [a.yml, b.yml]", "'include' is the path of one file, not a list"),
        ("include: {path: a.yml}", "a fragment of another repository needs 'repo', a text"),
        ("include:", "'include' is the path of one file, not nothing"),
        ("include: {repo: 'https://h/r', sha: x}", "a fragment of another repository needs 'path', a text"),
        ("include: {repo: 'https://h/r', path: a.yml}", "a fragment of another repository needs 'sha', a text"),
        ("include: {repo: [a], sha: x, path: a.yml}", "a fragment of another repository needs 'repo', a text"),
        ("include: {repo: '', sha: x, path: a.yml}", "a fragment of another repository needs 'repo', a text"),
        ("include: {repo: 'https://h/r', ref: main, path: a.yml}", "'include' has no key 'ref'"),
        ("include: {repo: 'https://h/r', sha: main, path: a.yml}", "names no commit: its 'sha' is not 40 digits"),
        (f"include: {{repo: 'https://h/r', sha: '{SHA[:-1]}', path: a.yml}}", "names no commit"),
        (f"include: {{repo: 'https://h/r', sha: '{SHA}', path: ../a.yml}}", "the path of a fragment has a part"),
        (f"include: {{repo: a/b, sha: '{SHA}', path: a.yml}}", "a 'repo' that is no address of https://"),
        (f"include: {{repo: 'file:///etc', sha: '{SHA}', path: a.yml}}", "a 'repo' that is no address of https://"),
        (f"include: {{repo: /srv/r, sha: '{SHA}', path: a.yml}}", "a 'repo' that is no address of https://"),
        (f"include: {{repo: 'ext::sh -c x', sha: '{SHA}', path: a.yml}}", "a 'repo' that is no address of https://"),
        (f"include: {{repo: 'https://[h', sha: '{SHA}', path: a.yml}}", "a 'repo' that is no address"),
        (f"include: {{repo: 'https://u:p@h/r', sha: '{SHA}', path: a.yml}}", "a 'repo' with a login in it"),
        (f"include: {{repo: 'https://{'h' * REPO_CHARACTERS_MAX}', sha: '{SHA}', path: a.yml}}", "of more than 500"),
        (f"{{include: {{repo: 'https://h/r', sha: '{SHA}', path: a, with: {{}}}}, with: {{}}}}", "stands here twice"),
        (f"include: {{repo: 'https://${{CI_REPO}}', sha: '{SHA}', path: a.yml}}", "was not read"),
        (f"include: {{repo: 'https://h/r', sha: '{SHA}', path: a.yml}}", "the fragment 'https://h/r@0123"),
        ("include: ci/${CI_COMMIT_BRANCH}.yml", "the fragment 'ci/main.yml' was not read; write the path out"),
        ("{include: ci/test.yml, when: {event: tag}}", "'when' does not go with 'include'"),
        ("{include: ci/test.yml, wth: {A: b}}", "did you mean 'with'?"),
    ],
)  # fmt: skip
def test_a_wrong_include_is_refused_with_a_sentence(item: str, part: str) -> None:
    problem = only_problem(f"steps:\n  - {item}\n{STEP}", {"ci/test.yml": SIMPLE})
    assert problem.startswith(".headway.yml:2:")
    assert part in problem


def test_a_path_of_the_longest_length_is_taken() -> None:
    path = "x" * (PATH_CHARACTERS_MAX - 4) + ".yml"
    assert wrong_address(Address(path)) is None
    assert [step.name for step in job_with(f"steps:\n  - include: {path}\n", {path: SIMPLE}).steps] == ["test"]


@pytest.mark.parametrize(
    ("text", "where", "part"),
    [
        ("", "1:1", "a fragment is a map with 'steps' or 'services'"),
        ("- a\n", "1:1", "a fragment is a map with 'steps' or 'services'"),
        ("inputs: {}\n", "1:1", "a fragment is a map with 'steps' or 'services'"),
        ("steps: x\n", "1:8", "'steps' is a list, not a single value"),
        ("steps: []\nmatrix: {A: [b]}\n", "2:1", "a fragment cannot have 'matrix'"),
        ("steps: []\nservces: []\n", "2:1", "did you mean 'services'?"),
        ("steps: [\n", "2:1", "this is not YAML"),
        (b"steps: \xff\n", "1:8", "this is not text in UTF-8"),
        ("inputs: [A]\nsteps: []\n", "1:9", "a map is wanted here"),
        ("inputs: {A: {type: list}}\nsteps: []\n", "1:20", "'list' is not a type of inputs"),
        ("inputs: {A: {tpe: x}}\nsteps: []\n", "1:14", "unknown key 'tpe'"),
        ("inputs: {A-B: x}\nsteps: []\n", "1:10", "not made of letters, digits and '_'"),
        ("inputs: {ci_x: x}\nsteps: []\n", "1:10", "begins like those of Headway's own"),
        ("inputs: {A: {type: number, default: x}}\nsteps: []\n", "1:10", "has the default 'x': it is a number"),
        ("inputs: {A: '${CI_COMMIT_SHA}'}\nsteps: []\n", "1:13", "has a variable in its declaration"),
        ("inputs: {A: {choices: ['${X}', b]}}\nsteps: []\n", "1:24", "has a variable in its declaration"),
    ],
)  # fmt: skip
def test_a_wrong_fragment_has_a_problem_in_its_own_file(text: str | bytes, where: str, part: str) -> None:
    problems = problems_with(MAIN, {"ci/test.yml": text})
    assert problems[0].startswith(f"ci/test.yml:{where}: error: ")
    assert part in problems[0]
    assert "(included at .headway.yml:2:14)" in problems[0]


@pytest.mark.parametrize(
    ("inputs", "given", "part"),
    [
        ("{X: }", "{}", ":2:14: error: the fragment 'ci/test.yml' needs the input X; write with: {X: VALUE}"),
        ("{X: }", "", ":2:14: error: the fragment 'ci/test.yml' needs the input X"),
        ("{X: }", "{X: }", ":3:15: error: the input X is a single text, not nothing"),
        ("{X: }", "{X: {from_secret: a}}", "the input X is a single text, not a map; write one value; of a secret"),
        ("{X: }", "[X]", "'with' is a map of values, not a list"),
        ("{X: }", "x", "'with' is a map of values, not a single value"),
        ("{X: a, LEVEL: b}", "{LEVL: c}", "has no input 'LEVL'; did you mean 'LEVEL'?"),
        ("{X: a}", "{SOMETHING: c}", "has no input 'SOMETHING'; it has X"),
        ("{}", "{SOMETHING: c}", "has no input 'SOMETHING'; it has none: remove 'with'"),
        ("{X: {type: number}}", "{X: many}", "the input X of 'ci/test.yml' cannot be 'many': it is a number"),
        ("{X: {type: boolean}}", "{X: 'yes'}", "cannot be 'yes': it is true or false"),
        ("{X: {choices: [a, b]}}", "{X: c}", "cannot be 'c': it is one of a, b"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_problem_of_the_include(inputs: str, given: str, part: str) -> None:
    main, fragments = with_inputs(inputs, given, "true")
    assert part in only_problem(main, fragments)


def test_an_unknown_name_in_a_fragment_says_what_is_known_there() -> None:
    fragment = "steps:\n  - {name: test, image: 'alpine:${VERSION_OF_IT}', commands: x}\n"
    assert "declare it below 'inputs' of the fragment" in problems_with(MAIN, {"ci/test.yml": fragment})[0]


def test_a_value_that_does_not_fit_its_key_is_named() -> None:
    fragment = "inputs: {N: {type: number}}\nsteps:\n  - {name: t, image: 'a:1', commands: x, detach: ${N}}\n"
    main = "steps:\n  - include: ci/test.yml\n    with: {N: 3}\n"
    assert "the value of ${N}, which is '3'" in problems_with(main, {"ci/test.yml": fragment})[0]


def test_a_file_that_was_not_read_says_why() -> None:
    fragments = {Address("ci/test.yml"): Fragment(trouble="ci/test.yml is not a file of the repository")}
    with pytest.raises(InvalidPipelineError) as error:
        compile_pipeline([PipelineFile(".headway.yml", MAIN.encode())], push(), TRUSTED, fragments)
    (problem,) = error.value.problems
    assert "the fragment cannot be read: ci/test.yml is not a file of the repository" in str(problem)


def test_an_include_stands_below_steps_alone() -> None:
    assert "it is an item of 'steps'" in problems_with(f"include: ci/test.yml\nsteps:\n{STEP}", {})[0]


def test_a_fragment_cannot_include_itself() -> None:
    assert "each other: ci/test.yml -> ci/test.yml" in only_problem(
        MAIN, {"ci/test.yml": "steps:\n  - include: ci/test.yml\n"}
    )
    round_trip = {"ci/test.yml": "steps:\n  - include: b.yml\n", "b.yml": "steps:\n  - include: ci/test.yml\n"}
    assert "each other: ci/test.yml -> b.yml -> ci/test.yml" in only_problem(MAIN, round_trip)


def chain(levels: int) -> dict[str, str]:
    names = ["ci/test.yml", *(f"f{number}.yml" for number in range(1, levels))]
    texts = [f"steps:\n  - include: {name}\n" for name in names[1:]]
    return dict(zip(names, [*texts, SIMPLE], strict=True))


def test_levels_are_limited() -> None:
    assert [step.name for step in job_with(MAIN, chain(LEVELS_MAX)).steps] == ["test", "own"]
    assert f"in more than {LEVELS_MAX} levels" in only_problem(MAIN, chain(LEVELS_MAX + 1))


def test_includes_are_limited() -> None:
    fragments = {"f.yml": "services: []\n"}
    most = f"steps:\n{STEP}" + "  - include: f.yml\n" * INCLUDES_COUNT_MAX
    assert len(job_with(most, fragments).steps) == 1
    assert f"more than {INCLUDES_COUNT_MAX} includes" in only_problem(most + "  - include: f.yml\n", fragments)


def test_bytes_of_one_fragment_are_limited() -> None:
    assert len(job_with(MAIN, {"ci/test.yml": SIMPLE.ljust(TEXT_BYTES_MAX)}).steps) == 2
    assert "more than the 524,288 bytes" in problems_with(MAIN, {"ci/test.yml": SIMPLE.ljust(TEXT_BYTES_MAX + 1)})[0]


def test_bytes_of_all_includes_are_limited_for_each_combination_of_the_matrix() -> None:
    half = "services: []\n".ljust(ALL_CELLS_CHARACTERS_MAX // 4)
    main = f"matrix: {{A: [b, c]}}\nsteps:\n{STEP}  - include: f.yml\n  - include: f.yml\n"
    assert len(plan_with(main, {"f.yml": half}).jobs) == 2
    assert "more than 524,288 bytes are included" in only_problem(main, {"f.yml": half + " "})


def test_values_of_all_includes_are_limited() -> None:
    # A fragment with n texts in 'variables' has n + 5 values: the map, two keys, two lists, and the texts.
    def of_size(count: int) -> dict[str, str]:
        return {"f.yml": f"services: []\nvariables: [{'a,' * (count - 5)}]\n"}

    main = f"steps:\n{STEP}  - include: f.yml\n  - include: f.yml\n"
    half = NODES_COUNT_MAX // 2
    assert len(job_with(main, of_size(half)).steps) == 1
    assert f"more than {NODES_COUNT_MAX:,} values" in only_problem(main, of_size(half + 1))


def test_inputs_and_their_names_are_limited() -> None:
    def declared(count: int, name: str = "X") -> str:
        return "inputs:\n" + "".join(f"  {name}{number:02}: a\n" for number in range(count)) + SIMPLE

    assert job_with(MAIN, {"ci/test.yml": declared(INPUTS_COUNT_MAX)}).steps
    assert f"at most {INPUTS_COUNT_MAX}" in only_problem(MAIN, {"ci/test.yml": declared(INPUTS_COUNT_MAX + 1)})
    assert job_with(MAIN, {"ci/test.yml": declared(1, "X" * (NAME_CHARACTERS_MAX - 2))}).steps
    assert "its name" not in only_problem(MAIN, {"ci/test.yml": declared(1, "X" * (NAME_CHARACTERS_MAX - 1))})


def test_a_fragment_that_becomes_too_long_is_refused() -> None:
    use = "${X}" * 100_000
    fragment = f"inputs: {{X: {{type: number}}}}\nsteps:\n  - {{name: t, image: 'a:1', commands: 'x {use}'}}\n"
    main = f"steps:\n  - include: ci/test.yml\n    with: {{X: {'1' * 30}}}\n"
    assert "this fragment becomes too long" in problems_with(main, {"ci/test.yml": fragment})[0]


def test_the_paths_that_a_text_includes() -> None:
    items = ["include: a.yml", "{include: ../b.yml}", "include: '${X}.yml'", "include: [c.yml]", "include: a.yml"]
    text = "steps:\n" + "".join(f"  - {item}\n" for item in items)
    assert included(text.encode()) == [Address("a.yml")]
    assert included(b"steps: [") == included(b"include: [") == included(b"steps: x\ninclude: y") == []
    assert included(text.encode().ljust(TEXT_BYTES_MAX)) == [Address("a.yml")]
    assert included(text.encode().ljust(TEXT_BYTES_MAX + 1)) == []


def test_a_mistake_in_a_fragment_does_not_hide_the_other_fragments() -> None:
    main = "steps:\n  - include: a.yml\n  - include: b.yml\n"
    assert [line.partition(":")[0] for line in problems_with(main, {"a.yml": "x: 1\n", "b.yml": "y: 1\n"})] == [
        "a.yml",
        "b.yml",
    ]


OTHER = f"https://git.example.org/team/ci.git@{SHA}:"


def other(path: str = "test.yml", more: str = "") -> str:
    return f"include: {{repo: 'https://git.example.org/team/ci.git', sha: '{SHA}', path: {path}{more}}}"


def test_a_fragment_of_another_repository_is_put_in_as_one_of_this() -> None:
    main = f"steps:\n  - {other()}\n{STEP}"
    assert [step.name for step in job_with(main, {f"{OTHER}test.yml": SIMPLE}).steps] == ["test", "own"]


@pytest.mark.parametrize("item", [f"{{{other()}, with: {{WORD: x}}}}", other(more=", with: {WORD: x}")])
def test_its_values_stand_beside_or_in_the_include(item: str) -> None:
    fragment = "inputs: {WORD: }\nsteps:\n  - {name: 'say-${WORD}', image: 'a:1', commands: x}\n"
    assert [step.name for step in job_with(f"steps:\n  - {item}\n", {f"{OTHER}test.yml": fragment}).steps] == ["say-x"]


def test_what_it_includes_is_in_its_own_repository_at_its_commit() -> None:
    fragments = {
        f"{OTHER}test.yml": f"steps:\n  - include: lib/inner.yml\n{STEP}", f"{OTHER}lib/inner.yml": SIMPLE,
        "lib/inner.yml": STEP,
    }  # fmt: skip
    main = f"steps:\n  - {other()}\n"
    assert [step.name for step in job_with(main, fragments).steps] == ["test", "own"]
    wanted = included(fragments[f"{OTHER}test.yml"].encode(), at(f"{OTHER}test.yml"))
    assert wanted == [at(f"{OTHER}lib/inner.yml")]


def test_a_problem_in_it_names_the_repository_and_the_commit() -> None:
    fragment = "steps:\n  - {name: test, image: 'a:1', comands: x}\n"
    problems = problems_with(f"steps:\n  - {other()}\n", {f"{OTHER}test.yml": fragment})
    assert problems[0].startswith(f"{OTHER}test.yml:2:")
    assert "(included at .headway.yml:2:14)" in problems[0]


def test_two_that_include_each_other_are_found_across_repositories() -> None:
    fragments = {f"{OTHER}a.yml": "steps:\n  - include: b.yml\n", f"{OTHER}b.yml": "steps:\n  - include: a.yml\n"}
    (problem,) = problems_with(f"steps:\n  - {other('a.yml')}\n", fragments)
    assert f"these fragments include each other: {OTHER}a.yml -> {OTHER}b.yml -> {OTHER}a.yml" in problem


@pytest.mark.parametrize(
    "repo",
    ["https://git.example.org/a", "http://h:8080/a.git", "ssh://git@h/a", "git@h.example:team/ci.git",
     "https://" + "h" * (REPO_CHARACTERS_MAX - 8)],
)  # fmt: skip
def test_addresses_that_git_clones_from_are_taken(repo: str) -> None:
    assert wrong_address(Address("a.yml", repo, SHA)) is None
    assert wrong_address(Address("a.yml", repo, "0" * 64)) is None


def test_one_that_cannot_be_read_says_to_look_at_its_address() -> None:
    fragments = {at(f"{OTHER}test.yml"): Fragment(trouble="there is no such repository")}
    with pytest.raises(InvalidPipelineError) as error:
        compile_pipeline(
            [PipelineFile(".headway.yml", f"steps:\n  - {other()}\n".encode())], push(), TRUSTED, fragments
        )
    assert str(error.value.problems[0]).endswith("there is no such repository; look at its address")
