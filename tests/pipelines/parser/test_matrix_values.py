"""The order in which a file is read: values of the matrix, then ``${NAME}`` in the whole file, then conditions."""

import pytest

from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.plan import JobPlan
from pipelines.trigger import Trigger
from tests.support.pipelines import container_of, plan_of, problems_of, push, tag, value_of

STEPS = """
labels: {l: "${B}"}
services: {db: {image: "db:${B}", environment: {B2: "${B}"}}}
steps:
  - name: n-${B}
    image: i:${B}
    commands: echo ${B} $B
  - name: plugin
    image: p:1
    settings: {b: "${B}"}
  - name: matching
    image: i
    commands: x
    when: {matrix: {B: "p-*"}}
  - name: told
    image: i
    commands: x
    when: {evaluate: 'B == "p-main"'}
"""


def job_for(matrix: str, trigger: Trigger | None = None) -> JobPlan:
    (job,) = plan_of(f"matrix: {matrix}\n{STEPS}", trigger).jobs
    return job


def test_a_value_of_the_matrix_is_filled_in_everywhere() -> None:
    job = job_for("{B: ['p-${CI_COMMIT_BRANCH}']}")
    assert job.cell == {"B": "p-main"}
    assert job.labels == {"l": "p-main"}
    assert [step.name for step in job.steps] == ["n-p-main", "plugin", "matching", "told"]
    first, plugin = container_of(job.steps[0]), container_of(job.steps[1])
    assert first.image.model_dump()["name"] == "i:p-main"
    assert (value_of(first, "B"), value_of(plugin, "PLUGIN_B")) == ("p-main", "p-main")
    assert job.steps[0].model_dump()["commands"] == ("echo p-main $B",)
    assert value_of(job.services[0].container, "B2") == "p-main"


@pytest.mark.parametrize(
    ("matrix", "trigger", "cells"),
    [
        ("{B: ['${CI_COMMIT_TAG:-none}']}", push(), ["none"]),
        ("{B: ['${CI_COMMIT_TAG:-none}']}", tag("v1.2.3"), ["v1.2.3"]),
        ("{B: [a, '${CI_COMMIT_SHA:0:8}']}", push(), ["a", "01234567"]),
        ('{B: ["${CI_COMMIT_BRANCH//\\\\//-}"]}'.replace("\\\\", "\\"), push("a/b/c"), ["a-b-c"]),
        ("{B: ['${CI_COMMIT_BRANCH^^}']}", push(), ["MAIN"]),
        ("{include: [{B: '${CI_COMMIT_BRANCH}'}, {B: x}]}", push(), ["main", "x"]),
        ('{B: ["$${HOME}"]}', push(), ["${HOME}"]),
        ('{B: ["${CI_COMMIT_MESSAGE}"]}', push(message="a: [b], $(id)"), ["a: [b], $(id)"]),
        ('{B: ["${CI_COMIT}"]}', push(), [""]),
    ],
)
def test_values_of_the_matrix_have_all_operators(matrix: str, trigger: Trigger, cells: list[str]) -> None:
    plan = plan_of(f"matrix: {matrix}\nsteps: [{{image: i, commands: x}}]", trigger)
    assert [job.cell["B"] for job in plan.jobs] == cells


def test_what_is_filled_into_a_value_is_not_read_again() -> None:
    job = job_for("{B: ['${CI_COMMIT_MESSAGE}']}", push(message="${CI_COMMIT_SHA}"))
    assert job.cell == {"B": "${CI_COMMIT_SHA}"}
    assert job.steps[0].model_dump()["commands"] == ("echo ${B} $B",)
    assert value_of(container_of(job.steps[1]), "PLUGIN_B") == "${CI_COMMIT_SHA}"


def test_a_commit_message_in_a_value_becomes_neither_yaml_nor_shell() -> None:
    message = "x'\nsteps: [{image: evil, commands: $(id)}] # `id`"
    (job,) = plan_of(
        "matrix: {B: ['${CI_COMMIT_MESSAGE}']}\nsteps: [{name: a, image: i, commands: \"echo '${B}' ${B}\"}]",
        push(message=message),
    ).jobs
    (step,) = job.steps
    assert step.model_dump()["commands"] == ("echo ''\"${B}\"'' ${B}",)
    assert value_of(container_of(step), "B") == message


def test_a_number_from_outside_stays_text_and_one_of_the_file_a_number() -> None:
    text = "matrix: {B: ['${CI_PIPELINE_NUMBER}', 1.10]}\nsteps: [{image: p, settings: {b: \"${B}\", c: ${B}}}]"
    first, second = (container_of(job.steps[0]) for job in plan_of(text).jobs)
    assert [value_of(first, name) for name in ("PLUGIN_B", "PLUGIN_C")] == ["7", "7"]
    assert [value_of(second, name) for name in ("PLUGIN_B", "PLUGIN_C")] == ["1.10", "1.1"]


def test_an_axis_in_a_value_of_the_matrix_is_a_warning() -> None:
    told = problems_of("matrix: {A: [1], B: ['x-${A}']}\nsteps: [{image: i, commands: x}]")
    message = "${A} is an axis of the matrix itself, which its values cannot use, and is empty here"
    assert told == [f"1:22: warning: {message}; write the combinations out under 'include'"]


def test_a_name_that_is_none_in_a_value_is_one_warning() -> None:
    told = problems_of("matrix: {B: [a, b, '${CI_COMIT_SHA}']}\nsteps: [{image: i, commands: x}]")
    assert len(told) == 1
    assert "${CI_COMIT_SHA} is not a variable here" in told[0]


def test_a_matrix_in_a_file_of_json_is_read_early_too() -> None:
    text = '{"matrix": {"B": ["x-${CI_COMMIT_BRANCH}"]}, "steps": [{"image": "i:${B}", "commands": "x"}]}'
    assert [job.cell for job in plan_of(text).jobs] == [{"B": "x-main"}]


def test_lint_reads_the_matrix_for_every_trigger() -> None:
    step = "{name: a, image: 'i:1', commands: x, when: {matrix: {B: v*}}}"
    text = f"matrix: {{B: ['${{CI_COMMIT_TAG:-main}}']}}\nsteps: [{step}]"
    assert lint_files([PipelineFile(".headway.yml", text.encode())]) == []


def test_values_of_the_matrix_that_become_too_long_are_an_error() -> None:
    many = "matrix: {B: ['" + "${CI_COMMIT_MESSAGE}" * 20 + "']}\nsteps: [{image: i, commands: x}]"
    told = problems_of(many, push(message="x" * 100_000))
    assert told[0].startswith("1:1: error: with its variables filled in, this file becomes too long")
