"""The JSON Schema has a description, examples and the default of every key, and says of old keys what to write."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types
import pytest
from pydantic import BaseModel, ValidationError

import pipelines.model.workflow as models
from pipelines.model.artifacts import Artifacts, RestoredArtifacts
from pipelines.model.base import PipelineModel
from pipelines.model.caches import Cache
from pipelines.model.compose import Compose
from pipelines.model.concurrency import Concurrency
from pipelines.model.conditions import Condition, PathPatterns, Patterns
from pipelines.model.examples import DEFAULTS, EXAMPLES
from pipelines.model.fragment import Include, OtherRepository
from pipelines.model.inputs import InputDeclaration
from pipelines.model.json_schema import schema
from pipelines.model.reports import Reports
from pipelines.model.resources import Resources
from pipelines.model.retry import Retry
from pipelines.model.secret_files import SecretFile
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import Node
from pipelines.syntax.yaml import parse_yaml

SCHEMA = schema()
KEYS = [
    (model, key, value)
    for model, definition in {"Workflow": SCHEMA, **SCHEMA["$defs"]}.items()
    for key, value in definition["properties"].items()
]
CURRENT = [(model, key, value) for model, key, value in KEYS if not value.get("deprecated")]
OLD = [(model, key, value) for model, key, value in KEYS if value.get("deprecated")]
MODELS: dict[str, type[PipelineModel]] = {
    each.__name__: each
    for each in (
        Artifacts, Cache, Compose, Concurrency, Condition, Include, InputDeclaration, OtherRepository, PathPatterns,
        Patterns, Reports, Resources, RestoredArtifacts, Retry, SecretFile, models.BackendOptions, models.Build,
        models.BuildStep, models.CommandsStep, models.Dependency, models.DockerOptions, models.ImageChoice,
        models.PluginStep, models.Push, models.PushStep, models.ReadyCheck, models.Service, models.Workflow,
        models.Workspace,
    )
}  # fmt: skip
WITHOUT_A_MODEL = {"ComposeStep"}  # the parser makes several steps of it


def node_of(value: object) -> Node:
    diagnostics = Diagnostics("x.yml")
    node = parse_yaml(json.dumps(value), diagnostics)
    assert node is not None
    assert diagnostics.problems == []
    return node


def errors_of(model: type[BaseModel], key: str, value: object) -> list[str]:
    """What the model says against this value of this key."""
    if model is models.Workflow and isinstance(value, dict) and key in {"steps", "services", "clone"}:
        value = list(value.values())  # the parser makes lists of maps
    try:
        model.model_validate(node_of({key: value}))
    except ValidationError as error:
        return [str(each) for each in error.errors() if key in each["loc"][:1]]
    return []


def test_every_definition_says_what_it_is() -> None:
    assert [name for name, each in SCHEMA["$defs"].items() if not each.get("description")] == []


def test_every_key_has_a_description_that_is_a_sentence() -> None:
    assert [(model, key) for model, key, value in KEYS if not value.get("description", "").endswith(".")] == []


def test_every_key_that_is_not_old_has_examples_which_fit() -> None:
    wrong: list[object] = []
    for model, key, value in CURRENT:
        check = jsonschema.Draft202012Validator({**value, "$defs": SCHEMA["$defs"]})
        wrong += [(model, key, each) for each in value["examples"] if not check.is_valid(each)]
        assert value["examples"], (model, key)
    assert wrong == []


def test_the_models_read_every_example() -> None:
    assert {model for model, _, _ in KEYS} == {*MODELS, *WITHOUT_A_MODEL}
    wrong = {
        (model, key): errors
        for model, key, value in CURRENT
        if model in MODELS
        for example in value["examples"]
        if (errors := errors_of(MODELS[model], key, example))
    }
    assert wrong == {}


def test_an_example_that_the_models_refuse_would_be_found() -> None:
    assert errors_of(models.Workspace, "base", ["a"]) != []


def test_an_old_key_says_what_to_write_and_has_no_example() -> None:
    assert {key for _, key, _ in OLD} == {"pipeline", "platform", "branches", "secrets", "runs_on", "group"}
    for model, key, value in OLD:
        assert value["description"].startswith("An old "), (model, key)
        assert "Write " in value["description"] or "from_secret" in value["description"], (model, key)
        assert "examples" not in value, (model, key)


def test_no_example_is_of_a_key_that_is_not_there() -> None:
    known = {(model, key) for model, key, _ in CURRENT}
    assert {(model, key) for model, keys in EXAMPLES.items() for key in keys} == known
    assert {(model, key) for model, keys in DEFAULTS.items() for key in keys} <= known


def plain_default(value: object) -> bool:
    """Is it a value that counts without the key, and not only the absence of one?"""
    return value is False or (bool(value) and isinstance(value, str | int | tuple))


def test_every_key_with_a_default_has_it_and_it_fits() -> None:
    wanted = {
        (name, field.alias or key)
        for name, model in MODELS.items()
        for key, field in model.model_fields.items()
        if plain_default(field.default)
    }
    found = {(model, key): value for model, key, value in KEYS if "default" in value}
    assert {each for each in wanted if each not in found} == set()
    for (model, key), value in found.items():
        whole: dict[str, Any] = {**value, "$defs": SCHEMA["$defs"]}
        assert jsonschema.Draft202012Validator(whole).is_valid(value["default"]), (model, key)


@pytest.mark.parametrize(
    ("model", "key", "default"),
    [
        ("Push", "tags", ["auto"]),
        ("Service", "timeout", "60s"),
        ("SecretFile", "mode", "0400"),
        ("Build", "pull", False),
    ],
)
def test_defaults_are_written_as_in_a_file(model: str, key: str, default: object) -> None:
    assert SCHEMA["$defs"][model]["properties"][key]["default"] == default
