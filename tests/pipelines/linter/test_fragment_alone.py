"""A fragment that is linted alone: with samples of its inputs, and without what only the file around it decides."""

import pytest

from pipelines.linter.fragment_alone import includer_of, lint_fragment, looks_like_fragment
from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import Fragment
from pipelines.syntax.yaml import TEXT_BYTES_MAX

PATH = "ci/test.yml"
STEPS = "steps: [{name: a, image: 'i:1', commands: x}]\n"


def lint(text: str, **others: str) -> list[str]:
    files = {Address(PATH): Fragment(text.encode())}
    files |= {Address(f"ci/{name}.yml"): Fragment(other.encode()) for name, other in others.items()}
    includer = includer_of(PATH, text.encode(), ".headway.yml")
    return [str(problem) for problem in lint_fragment(PATH, includer, files)]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (f"inputs: {{A: x}}\n{STEPS}", True),
        ("services: [{name: db, image: 'postgres:17'}]", True),
        ("variables: {a: b}\nservices: [{name: db, image: 'postgres:17'}]", True),
        (STEPS, False),
        (f"when: {{branch: main}}\ninputs: {{A: x}}\n{STEPS}", False),
        ("variables: {a: b}", False),
        ("- a", False),
        ("a: [", False),
        ("inputs: {A: x}\n#" + "x" * TEXT_BYTES_MAX, False),
    ],
)
def test_what_no_workflow_looks_like_is_a_fragment(text: str, is_one: bool) -> None:
    assert looks_like_fragment("a.yml", text.encode()) == is_one


def test_each_input_without_a_default_has_a_sample_that_fits() -> None:
    text = (
        "inputs:\n  TEXT:\n  FLAG: {type: boolean}\n  NUMBER: {type: number}\n"
        "  WORD: {type: choice, choices: [one, two]}\n  SET: given\n"
        "steps: [{name: '${TEXT}-${WORD}', image: 'i:1', pull: '${FLAG}', commands: 'x ${NUMBER} ${SET}'}]\n"
    )
    assert lint(text) == []
    includer = includer_of(PATH, text.encode(), ".headway.yml").text
    assert includer.splitlines()[2] == (b'    with: {"TEXT": "sample", "FLAG": "true", "NUMBER": "1", "WORD": "one"}')


def test_services_alone_are_a_fragment_without_problems() -> None:
    assert lint("services: [{name: db, image: 'postgres:17'}]") == []


def test_problems_are_those_of_the_fragment_without_the_file_that_includes_it() -> None:
    text = "when: {branch: main}\nsteps:\n  - {name: a, image: 'i:1', comands: x}\n  - include: ci/inner.yml\n"
    assert lint(text, inner="steps: [{name: b, image: 'i:1', comands: x}]\nlabels: {}\n") == [
        (
            "ci/inner.yml:2:1: error: a fragment cannot have 'labels' (included at ci/test.yml:4:14); "
            "write it in the file that includes this one"
        ),
        "ci/test.yml:1:1: error: a fragment cannot have 'when'; write it in the file that includes this one",
    ]
    (problem,) = lint("steps: [{name: a, image: 'i:1', comands: x}]\n")
    assert problem.startswith("ci/test.yml:1:33: error: unknown key 'comands' in step 'a'; did you mean 'commands'?")


def test_a_step_of_the_file_around_it_is_no_mistake() -> None:
    text = "steps: [{name: a, image: 'i:1', commands: x, depends_on: before}]\n"
    (problem,) = lint(text)
    assert ": hint: step 'a' depends on 'before', which is not a step here; a file that includes this" in problem


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "ci/test.yml:1:1: error: a fragment is a map with 'steps' or 'services', and this file has neither"),
        ("steps: []\n", "ci/test.yml:1:1: error: "),
        ("inputs: {CI_A: x}\n" + STEPS, "ci/test.yml:1:10: error: an input of this fragment has a name that begins"),
        ("inputs: [a]\n" + STEPS, "ci/test.yml:1:9: error: "),
        ("a: [", "ci/test.yml:1:5: error: "),
    ],
)
def test_what_is_no_fragment_is_named(text: str, told: str) -> None:
    assert any(problem.startswith(told) for problem in lint(text)), lint(text)


def test_a_file_of_a_name_that_nothing_can_include_is_told() -> None:
    includer = includer_of("ci/test.txt", STEPS.encode(), ".headway.yml")
    (problem,) = lint_fragment("ci/test.txt", includer, {Address("ci/test.txt"): Fragment(STEPS.encode())})
    assert str(problem).startswith("ci/test.txt:1:1: error: the path of a fragment does not end in .yml or .yaml")


COMPOSE = b"""\
services:
  web: {image: 'x:1', prots: [80], environment: {A: '${B}', C: '${C:?needed}'}, env_file: a.env}
  db: {image: 'x:1', privileged: true}
"""


@pytest.mark.parametrize("path", ["ci/compose.yml", "docker-compose.test.yaml", "compose-test.yml", "ci/other.yml"])
def test_a_compose_file_is_linted_as_what_a_step_runs(path: str) -> None:
    assert looks_like_fragment(path, COMPOSE)
    includer = includer_of(path, COMPOSE, ".headway.yml")
    why = "a service has nothing of the host here: remove it"
    folder = "ci/" if path.startswith("ci/") else ""
    files = {Address(path): Fragment(COMPOSE), Address(f"{folder}a.env"): Fragment(b"X=1\n")}
    assert [str(each) for each in lint_fragment(path, includer, files)] == [
        f"{path}:2:23: error: unknown key 'prots' in the Compose service 'web'; did you mean 'ports'?",
        f"{path}:3:22: error: 'privileged' of the Compose service 'db' is not supported; {why}",
    ]


@pytest.mark.parametrize(
    ("path", "text", "is_compose"),
    [
        ("compose.yml", "services: {db: {image: x}}", True),
        ("a.yml", "services: {db: {image: x}}", False),
        ("a.yml", "services: {db: {image: x}}\nnetworks: {a: }", True),
        ("a.yml", "services: {db: {image: x, command: y}}", True),
        ("a.yml", "services: {db: }\nversion: '3'", False),
        ("compose.yml", "services: [{name: db, image: x}]", False),
        ("compose.yml", "services: {db: {image: x}}\nsteps: []", False),
    ],
)
def test_what_is_taken_for_a_compose_file(path: str, text: str, is_compose: bool) -> None:
    assert (b"compose: " in includer_of(path, text.encode(), ".headway.yml").text) is is_compose
