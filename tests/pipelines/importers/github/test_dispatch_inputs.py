"""Inputs of ``workflow_dispatch``: their values arrive in the plan of a run by hand."""

import pytest

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.trigger import Trigger
from tests.pipelines.importers.github.test_github import of_job
from tests.support.imported_commands import output_of
from tests.support.imports import Import
from tests.support.pipelines import TRUSTED, event, push

ON = """\
on:
  push:
  workflow_dispatch:
    inputs:
      level: {type: string}
      dry: {type: boolean, default: false}
      env: {type: environment}"""


def file_of(steps: str, more: str = "") -> Import:
    return of_job(f"{more}\nsteps: [{steps}]", ON)


def by_hand(**inputs: str) -> Trigger:
    return event("manual", inputs=inputs)


@pytest.mark.parametrize(
    ("steps", "printed"),
    [
        ('run: "echo ${{ inputs.level }}"', "a $b"),
        ('run: "echo ${{ github.event.inputs.level }}-${{ inputs.env }}"', "a $b-x"),
        ('run: "echo ${{ Inputs.Level }}"', "a $b"),
        ("run: \"echo ${{ format('{0}!', inputs.level) }}\"", "a $b!"),
        ('{run: echo "$L", env: {L: "${{ inputs.level }}"}}', "a $b"),
        ('{run: echo "$L", env: {L: "<${{ inputs.level }}>"}}, run: echo', "<a $b>\n"),
        ('run: echo, {run: echo "$L", env: {L: "${{ inputs.level }}"}}', "\na $b"),
    ],
)
def test_an_input_arrives_in_commands(steps: str, printed: str) -> None:
    found = file_of(steps)
    assert found.remarks == []
    assert output_of(found, by_hand(LEVEL="a $b", INPUT_ENV="x"), LEVEL="a $b", INPUT_ENV="x") == f"{printed}\n"


def test_an_input_in_the_variables_of_the_job() -> None:
    found = file_of('run: echo "$A $LEVEL"', 'env: {A: "${{ inputs.level }}", LEVEL: "${{ inputs.level }}"}')
    assert output_of(found, by_hand(LEVEL="high"), LEVEL="high") == "high high\n"


def test_an_input_with_the_name_of_another_variable() -> None:
    found = file_of('run: "echo ${{ inputs.level }}"', "env: {LEVEL: other}")
    assert found.remarks[-1].endswith(
        "an expression has the input LEVEL, whose name is in 'env' too, which has no counterpart; it is left out"
    )


@pytest.mark.parametrize("condition", ["inputs.dry", "inputs.level == 'high'"])
@pytest.mark.parametrize("more", ["", "if: {}"])
def test_a_condition_on_an_input(condition: str, more: str) -> None:
    step = "run: ls" if more else f"{{run: ls, if: {condition}}}"
    found = file_of(f"{step}", more.format(condition))
    assert found.remarks == []

    def runs(trigger: Trigger) -> bool:
        return any(job.steps for job in compile_pipeline(found.imported.files, trigger, TRUSTED).jobs)

    assert runs(by_hand(DRY="true", LEVEL="high"))
    assert not runs(by_hand(DRY="false", LEVEL="low"))
    assert not runs(push())


@pytest.mark.parametrize(
    "more",
    [
        'container: "x:${{ inputs.level }}"',
        "services: {db: {image: 'x:${{ inputs.level }}'}}",
        'concurrency: "${{ inputs.level }}"',
        'env: {A: "${{ inputs.level }}"}\ncontainer: "x:${{ env.A }}"',
    ],
)
def test_an_input_where_the_value_is_needed_before_the_run(more: str) -> None:
    found = file_of("run: ls", more)
    assert any("error: an expression has the input LEVEL, which has no counterpart" in each for each in found.remarks)


@pytest.mark.parametrize(
    ("default", "events", "remarks"),
    [("low", "push: , ", 1), ("low", "", 0), ("''", "push: , ", 0), ("false", "push: , ", 0)],
)
def test_a_default_that_runs_of_other_events_have_too(default: str, events: str, remarks: int) -> None:
    top = f"on: {{{events}workflow_dispatch: {{inputs: {{level: {{default: {default}}}}}}}}}"
    text = "1 warning: the input LEVEL has its default in runs for 'push' too, where it is empty at GitHub"
    assert of_job("steps: [run: ls]", top).remarks == [text] * remarks
