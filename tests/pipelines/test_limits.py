"""Any input gives a plan or a list of problems, in bounded time."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import PipelineFile
from pipelines.linter.linter import ANY_REPO, lint_files
from pipelines.linter.sample_triggers import push_to_default_branch
from pipelines.plan import Plan
from pipelines.problem import InvalidPipelineError, Level, Problem
from pipelines.syntax.diagnostics import PROBLEMS_COUNT_MAX
from pipelines.trigger import Trigger
from tests.support.paths import MISTAKES
from tests.support.pipelines import CONTEXT, event, problems_of, pull_request, push, tag

# A busy machine is no failure.
QUIET = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PATHS = st.sampled_from([".headway.yml", ".woodpecker/x.yml"])
MESSAGES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TRIGGERS = st.one_of(
    st.builds(push, message=MESSAGES, changed_files=st.none() | st.lists(st.text(max_size=5), max_size=3).map(tuple)),
    st.builds(tag, st.text("v0123.", min_size=1, max_size=6)),
    st.just(pull_request()),
    st.just(event("cron", cron="x")),
)


def outcome(data: bytes, trigger: Trigger, path: str) -> None:
    linted = lint_files([PipelineFile(path, data)])
    assert set(errors_of_a_push(data, path)) <= set(linted) or len(linted) >= PROBLEMS_COUNT_MAX
    try:
        plan = compile_pipeline([PipelineFile(path, data)], trigger, CONTEXT)
    except InvalidPipelineError as error:
        problems = error.problems
    else:
        assert plan.jobs or plan.left_out
        assert Plan.model_validate_json(plan.model_dump_json()) == plan
        return
    assert problems
    assert all(problem.message and problem.line >= 0 for problem in problems)


def errors_of_a_push(data: bytes, path: str) -> list[Problem]:
    try:
        compile_pipeline([PipelineFile(path, data)], push_to_default_branch("main"), ANY_REPO)
    except InvalidPipelineError as error:
        return [problem for problem in error.problems if problem.level is Level.ERROR]
    return []


@pytest.mark.slow
@QUIET
@given(st.binary(max_size=200), TRIGGERS, PATHS)
@example(b"\xed\xa0\x80", push(), ".headway.yml")
@example(b"\x00", push(), ".headway.yml")
def test_any_bytes(data: bytes, trigger: Trigger, path: str) -> None:
    outcome(data, trigger, path)


FILES = [path.read_text() for path in sorted(MISTAKES.glob("*.yml"))]
CHANGES = st.lists(
    st.tuples(st.sampled_from(["delete", "double", "swap", "indent", "value"]), st.integers(0, 99), st.integers(0, 99)),
    min_size=1,
    max_size=4,
)


def changed(text: str, changes: list[tuple[str, int, int]]) -> str:
    """A damaged file: lines deleted, duplicated, swapped, indented, or with values of other files."""
    lines = text.split("\n")
    for change, first, second in changes:
        one, other = first % len(lines), second % len(lines)
        match change:
            case "delete":
                lines[one] = ""
            case "double":
                lines.insert(other, lines[one])
            case "swap":
                lines[one], lines[other] = lines[other], lines[one]
            case "indent":
                lines[one] = "  " + lines[one]
            case _:
                key, colon, _ = lines[one].partition(":")
                lines[one] = key + colon + FILES[second % len(FILES)].partition(":")[2].partition("\n")[0]
    return "\n".join(lines)


@pytest.mark.stress
@QUIET
@given(st.builds(changed, st.sampled_from(FILES), CHANGES), TRIGGERS, PATHS)
def test_any_damage_to_a_file(text: str, trigger: Trigger, path: str) -> None:
    outcome(text.encode(), trigger, path)


@pytest.mark.parametrize("path", [".headway.yml", ".woodpecker.yml"])
@pytest.mark.parametrize(
    "text",
    [
        "when: {0: x}\nsteps: [{image: i}]",
        "steps: [{image: i, when: {0: x}}]",
        "steps: {a: {image: i, depends_on: {0: x}}}",
        "steps: [{image: i, commands: {0: x}}]",
        "steps: [{image: i, settings: {0: [x]}, when: {path: {0: x}, matrix: {0: {0: y}}}}]",
        "services: {0: {image: i, 0: x}}\nsteps: {0: {image: i, 0: x}}",
        "steps: {app: {build: {0: x, args: {0: [x]}}}, p: {push: {repo: a/b, 0: y}}}",
    ],
)
def test_a_number_as_a_key_is_not_taken_for_a_place_in_a_list(text: str, path: str) -> None:
    outcome(text.encode(), push(), path)
    assert problems_of(text, path=path)


WORDS = st.sampled_from(
    [
        *("steps", "name", "image", "commands", "settings", "build", "push", "repo", "tags", "when", "event", "branch"),
        *(
            "path",
            "include",
            "status",
            "depends_on",
            "services",
            "clone",
            "matrix",
            "environment",
            "from_secret",
            "args",
        ),
        *("secrets", "ready", "port", "timeout", "labels", "workspace", "evaluate", "pipeline", "branches", "platform"),
        *(
            "a",
            "b",
            "main",
            "true",
            "null",
            "1",
            "3.10",
            "auto",
            "${CI_COMMIT_MESSAGE}",
            "${A",
            "*x",
            "&x",
            "<<",
            "10m",
        ),
        *(
            "plugins/docker",
            "logins",
            "registry",
            "password",
            "optional",
            "group",
            "image",
            "local",
            "entrypoint",
            "x y",
        ),
    ]
)
DOCUMENTS = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers(-9, 99),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)


@pytest.mark.stress
@QUIET
@given(st.dictionaries(WORDS, DOCUMENTS, max_size=4), DOCUMENTS, TRIGGERS, PATHS)
def test_any_document_of_our_words(document: dict[str, object], steps: object, trigger: Trigger, path: str) -> None:
    outcome(json.dumps({**document, "steps": steps}).encode(), trigger, path)


STEP = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", "c"]),
        "image": st.sampled_from(["i", "plugins/docker", {"build": "a"}]),
        "commands": st.sampled_from(["x", ["x", "y"], []]),
        "settings": st.dictionaries(WORDS, DOCUMENTS, max_size=3),
        "build": st.sampled_from([".", {"context": "x"}, None]),
        "push": st.dictionaries(st.sampled_from(["repo", "tags", "image", "username"]), WORDS, max_size=3),
        "when": st.dictionaries(st.sampled_from(["event", "branch", "path", "status"]), WORDS, max_size=2),
        "depends_on": st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=2),
        "detach": st.booleans(),
        "group": st.sampled_from(["g", "h"]),
    },
)


@pytest.mark.stress
@QUIET
@given(st.lists(STEP, min_size=1, max_size=5), TRIGGERS, PATHS)
def test_any_steps(steps: list[dict[str, object]], trigger: Trigger, path: str) -> None:
    outcome(json.dumps({"steps": steps}).encode(), trigger, path)


YAML_PIECES = st.sampled_from(
    [
        "steps:",
        "- ",
        "name: a",
        "\n",
        "  ",
        "image: i",
        ": ",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "<<: ",
        "|",
        "'",
        '"',
        "#",
        "${",
        "}",
        "$$",
        "\\",
        "!!int ",
        "? ",
        "---\n",
        "commands: [x]",
        "\t",
        "%",
        "@",
        "\r\n",
        "é",
    ]
)


@pytest.mark.slow
@QUIET
@given(st.lists(YAML_PIECES, max_size=25).map("".join), TRIGGERS, PATHS)
def test_any_yaml_like_text(text: str, trigger: Trigger, path: str) -> None:
    outcome(text.encode(), trigger, path)


def test_of_very_many_problems_only_the_first_are_reported() -> None:
    text = "steps:\n" + "".join(f"  - {{name: s{n}, image: i, comands: x}}\n" for n in range(500))
    assert len(problems_of(text)) == PROBLEMS_COUNT_MAX


@pytest.mark.slow
def test_a_large_valid_file_is_compiled() -> None:
    text = "steps:\n" + "".join(f"  - name: s{n}\n    image: i\n    commands:\n      - make {n}\n" for n in range(1200))
    plan = compile_pipeline([PipelineFile(".headway.yml", text.encode())], push(), CONTEXT)
    assert len(plan.jobs[0].steps) == 1200


@pytest.mark.stress
@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("${" * 200_000, PROBLEMS_COUNT_MAX),
        ("${a:-" * 100_000, PROBLEMS_COUNT_MAX),
        ("steps: [{image: i, commands: x}]\n" + "".join(f"k{n}: y\n" for n in range(20_000)), PROBLEMS_COUNT_MAX),
        ("steps: [{image: i, commands: x, when: {branch: '" + "*a" * 200_000 + "'}}]", 1),
        ("steps:\n" + " - {image: i, commands: x}\n" * 2001, 1),
        ("matrix: {A: [" + "1, " * 250 + "]}\nsteps:\n" + " - {image: i, commands: x}\n" * 300, 1),
        ("matrix: {A: [" + "1, " * 250 + "]}\nsteps:\n" + " - {image: i, commands: x}\n" * 100, 1),
    ],
)
def test_hostile_files_are_refused_quickly(text: str, count: int) -> None:
    assert len(problems_of(text)) == count


def test_no_files_are_no_jobs() -> None:
    assert compile_pipeline([], push(), CONTEXT).jobs == ()


def test_problems_are_in_the_order_of_files_and_lines() -> None:
    files = [
        PipelineFile(".headway/b.yml", b"steps: [{image: i, comands: x}]"),
        PipelineFile(".headway/a.yml", b"steps:\n - {image: i, commands: x, timeout: 1}\nwhn: x\n"),
    ]
    with pytest.raises(InvalidPipelineError) as caught:
        compile_pipeline(files, push(), CONTEXT)
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        (".headway/a.yml", 2),
        (".headway/a.yml", 3),
        (".headway/b.yml", 1),
    ]
