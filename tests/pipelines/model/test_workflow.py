"""The models can be filled from Python as well as from nodes."""

import pytest
from pydantic import ValidationError

from pipelines.model.workflow import BuildStep, CommandsStep, Dependency, ReadyCheck, Workflow
from pipelines.syntax.shell_text import ShellText


def test_models_take_pythons_own_values() -> None:
    step = CommandsStep.model_validate(
        {"commands": (ShellText("make", ()), "make test"), "timeout": 60, "depends_on": (Dependency(name="a"),)}
    )
    assert [script.text for script in step.commands] == ["make", "make test"]
    assert ReadyCheck(port=5432, timeout=5).port == 5432
    build = {"context": "x", "args": {"A": "b"}, "no_cache": True}
    assert BuildStep.model_validate({"build": build}).build.context == "x"


def test_models_refuse_values_of_python_of_the_wrong_type() -> None:
    with pytest.raises(ValidationError, match="valid string"):
        CommandsStep.model_validate({"commands": (ShellText("make", ()),), "dns": (5,)})


def test_a_json_schema_can_be_made_from_the_models() -> None:
    schema = Workflow.model_json_schema()
    assert "steps" in schema["required"]
    assert {"steps", "services", "when", "matrix", "$schema"} <= set(schema["properties"])
    assert {"type": ["string", "number", "boolean"]} in schema["$defs"]["BuildStep"]["properties"]["build"]["anyOf"]
