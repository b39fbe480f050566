"""``headway schema``: what it allows is what lint finds no error in, and every key is explained."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import jsonschema  # type: ignore[import-untyped]  # it has no types
import pytest
from typer.testing import CliRunner

from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.model.descriptions import DESCRIPTIONS
from pipelines.model.json_schema import schema
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.syntax.yaml import parse_yaml
from runner.cli.main import app
from tests.support.paths import ROOT

CORPUS = sorted((ROOT.parent / "shared" / "corpus" / "woodpecker").glob("*.y*ml"))
PAGE = ROOT / "docs" / "using" / "pipelines.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
# Files that are wrong only in what no schema can see: names, conditions, versions.
MISTAKES = sorted((ROOT / "tests" / "mistakes").glob("*.yml"))


class SchemaError(Protocol):
    """What the tests use of an error of jsonschema."""

    message: str


class Validator(Protocol):
    """What the tests use of a validator of jsonschema, which has no types."""

    schema: dict[str, Any]

    def iter_errors(self, instance: object) -> Iterator[SchemaError]: ...


@pytest.fixture(scope="module")
def check() -> Validator:
    validator: Validator = jsonschema.Draft202012Validator(schema())
    return validator


def plain(node: Node) -> object:
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [plain(item) for item in node.items]
        case MapNode():
            return {key.text: plain(value) for key, value in node.entries}


def values_of(text: str) -> object:
    diagnostics = Diagnostics("x.yml")
    root = parse_yaml(text, diagnostics)
    return None if root is None or diagnostics.failed else plain(root)


@pytest.mark.slow
def test_the_schema_is_one(check: Validator) -> None:
    jsonschema.Draft202012Validator.check_schema(check.schema)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_manual_fits(check: Validator, example: str) -> None:
    assert list(check.iter_errors(values_of(example))) == []


@pytest.mark.stress
@pytest.mark.skipif(not CORPUS, reason="the folder of real pipeline files is not beside the project")
def test_every_real_file_fits_unless_lint_says_that_a_key_is_unknown(check: Validator) -> None:
    refused = {}
    for file in CORPUS:
        values = values_of(file.read_text(encoding="utf-8"))
        told = " ".join(str(problem) for problem in lint_files([PipelineFile(".woodpecker.yml", file.read_bytes())]))
        if values is not None and "unknown key" not in told and (errors := list(check.iter_errors(values))):
            refused[file.name] = errors[0].message[:300]
    assert refused == {}


def expected_of(file: Path) -> str:
    """What lint says of a file with mistakes."""
    return file.with_suffix(".txt").read_text(encoding="utf-8")


WITHOUT_ERRORS = [file for file in MISTAKES if not re.search(": error: |unknown key", expected_of(file))]


def test_there_are_files_in_which_lint_finds_no_error() -> None:
    assert len(WITHOUT_ERRORS) > 12


@pytest.mark.parametrize("file", WITHOUT_ERRORS, ids=lambda file: file.stem)
def test_a_file_in_which_lint_finds_no_error_fits(check: Validator, file: Path) -> None:
    values = values_of(file.read_text(encoding="utf-8", errors="replace"))
    assert values is not None
    assert [error.message for error in check.iter_errors(values)] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "steps: []",
        "stepz: [{image: i}]",
        "steps: [{image: i, comands: x}]",
        "steps: [{image: i, commands: x, when: {event: pusch}}]",
        "steps: [{image: i, commands: x, when: {status: failed}}]",
        "steps: [{include: a.yml, wth: {A: b}}]",
        "steps: [{include: [a.yml]}]",
        "steps: [{image: i, commands: x, timeout: 90}]",
        "steps: [{image: i, commands: x, detach: perhaps}]",
        "steps: [{image: i, commands: x, failure: retry}]",
        "steps: [{build: ., commands: x}]",
        "steps: [{push: {tags: x}}]",
        "services: {a: {image: i, ready: {port: x}}}\nsteps: [{image: i}]",
        "steps: [{image: i, commands: x, depends_on: {nme: a}}]",
        "matrix: {A: x}\nsteps: [{image: i}]",
    ],
)
def test_what_lint_refuses_an_editor_marks_too(check: Validator, text: str) -> None:
    assert list(check.iter_errors(values_of(text))) != []


@pytest.mark.parametrize(
    "text",
    [
        "steps: {a: {image: i, commands: 'x', timeout: '${TIME}', detach: '${YES}', pull: yes}}",
        "steps: [{image: 3.10, commands: [1, true, x]}]",
        "steps: [{image: i, commands: x, when: [{event: push}, {branch: {include: [a], exclude: b}}]}]",
        "pipeline: {a: {image: i, commands: x, secrets: [a, {source: b, target: c}], environment: [A=b]}}",
        "steps: [{build: }, {image: {build: a}}, {push: {repo: a/b, password: {from_secret: p}}}]",
        "steps: [{image: i, when: , depends_on: [{name: a, optional: true}]}]",
        "steps: [{include: ci/a.yml}, {include: b.yml, with: {A: b, C: 3, D: true}}]",
        "steps: [{image: i, commands: x, when: {status: [success, canceled]}}]",
        "steps: [{compose: a.yml}, {name: b, compose: {file: a.yml, service: t, command: [x], profiles: p}, retry: 2}]",
        "steps: [{compose: {file: a.yml, images: {a: {build: b}, c: 'x:1'}}, environment: {A: {from_secret: b}}}]",
    ],
)
def test_every_spelling_that_lint_takes_an_editor_takes_too(check: Validator, text: str) -> None:
    assert [error.message for error in check.iter_errors(values_of(text))] == []


def test_every_key_is_explained(check: Validator) -> None:
    found = check.schema
    models = {"Workflow": found, **found["$defs"]}
    assert set(models) == set(DESCRIPTIONS)
    for name, model in models.items():
        assert {key for key, value in model["properties"].items() if not value.get("description")} == set(), name


def test_the_verb_prints_it() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == schema()
