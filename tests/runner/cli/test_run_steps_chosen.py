"""``headway run --step`` and ``--from``: which steps of a plan run, and after which."""

from collections.abc import Sequence

import pytest

from pipelines.plan import Plan
from runner.cli.run.choice.steps import started_from, with_steps
from runner.errors import StepError
from tests.support.pipelines import plan_of, plan_of_files

LINE = """
steps:
  - {name: prepare, image: i, commands: [a]}
  - {name: app, build: .}
  - {name: unit, image: i, commands: [b]}
  - {name: smoke, image: {build: app}, commands: [c]}
services:
  web: {image: {build: app}}
  db: {image: postgres}
"""
GRAPH = """
steps:
  - {name: deps, image: i, commands: [a], depends_on: []}
  - {name: lint, image: i, commands: [a], depends_on: []}
  - {name: unit, image: i, commands: [a], depends_on: [deps]}
  - {name: slow, image: i, commands: [a], depends_on: [deps]}
  - {name: pack, image: i, commands: [a], depends_on: [unit, slow]}
"""
STEPS = "steps: [{name: first, image: i, commands: [ls]}, {name: second, image: i, commands: [ls]}]"
FILES = {
    ".headway/a.yml": STEPS,
    ".headway/b.yml": f"depends_on: [a]\n{STEPS.replace('first', 'one')}",
    ".headway/c.yml": f"depends_on: [b]\n{STEPS.replace('first', 'other')}",
    ".headway/d.yml": STEPS.replace("first", "apart"),
}


def shape(plan: Plan) -> dict[str, list[str]]:
    """The steps of each job, with the names of those that each waits for."""
    found = {}
    for job in plan.jobs:
        names = {step.number: step.name for step in job.steps}
        found[job.name] = [" ".join([step.name, *(f"<{names[need]}" for need in step.needs)]) for step in job.steps]
    return found


def services(plan: Plan) -> list[str]:
    return [service.name for job in plan.jobs for service in job.services]


def steps(text: str, *names: str, first: str = "") -> list[str]:
    plan = plan_of(text)
    plan = started_from(plan, first) if first else plan
    (found,) = shape(with_steps(plan, names, alone=False) if names else plan).values()
    return found


def test_a_step_runs_with_all_that_it_needs() -> None:
    assert steps(LINE, "unit") == ["prepare", "app <prepare", "unit <app"]
    assert steps(GRAPH, "unit") == ["deps", "unit <deps"]
    assert steps(GRAPH, "lint", "slow") == ["deps", "lint", "slow <deps"]


def test_from_a_step_on_run_those_that_wait_for_it() -> None:
    assert steps(GRAPH, first="unit") == ["unit", "pack <unit"]
    assert steps(GRAPH, first="deps") == ["deps", "unit <deps", "slow <deps", "pack <unit <slow"]


def test_from_a_step_on_builds_before_it_run_too() -> None:
    assert steps(LINE, first="unit") == ["app", "unit <app", "smoke <unit"]
    assert services(started_from(plan_of(LINE), "unit")) == ["web", "db"]


def test_a_service_in_the_image_of_a_build_that_does_not_run_is_left_out() -> None:
    assert services(with_steps(plan_of(LINE), ["prepare"], alone=False)) == ["db"]
    assert services(with_steps(plan_of(LINE), ["app"], alone=False)) == ["web", "db"]


def test_both_options_run_one_step_alone() -> None:
    assert steps(GRAPH, "pack", first="pack") == ["pack"]
    assert steps(LINE, "unit", first="unit") == ["app", "unit <app"]


def test_a_step_runs_after_the_workflows_that_its_own_needs() -> None:
    needed = with_steps(plan_of_files(FILES), ["one"], alone=False)
    assert shape(needed) == {"a": ["first", "second <first"], "b": ["one"]}
    alone = with_steps(plan_of_files(FILES), ["one"], alone=True)
    assert shape(alone) == {"b": ["one"]}
    assert (alone.jobs[0].needs, alone.jobs[0].restored_from) == ((), ())


def test_from_a_step_on_run_the_workflows_after_its_own() -> None:
    plan = started_from(plan_of_files(FILES), "one")
    assert shape(plan) == {"b": ["one", "second <one"], "c": ["other", "second <other"]}
    assert [job.needs for job in plan.jobs] == [(), ("b",)]


def test_a_name_that_several_workflows_have_means_all_of_them() -> None:
    assert list(shape(with_steps(plan_of_files(FILES), ["second"], alone=False))) == ["a", "b", "c", "d"]
    assert list(shape(started_from(plan_of_files(FILES), "second"))) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("names", "first", "said"),
    [
        (["unti"], "", "no step 'unti' runs here; did you mean 'unit'? the steps are: 'deps', 'lint', 'unit', 'slow'"),
        (["unit", "x"], "", "no step 'x' runs here; the steps are: 'deps'"),
        ([], "packs", "no step 'packs' runs here; did you mean 'pack'? the steps are:"),
        (["lint"], "unit", "no step 'lint' runs here; the steps are: 'unit', 'pack'"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_with_the_nearest_one(names: Sequence[str], first: str, said: str) -> None:
    with pytest.raises(StepError) as raised:
        steps(GRAPH, *names, first=first)
    assert str(raised.value).startswith(said)


def test_a_step_that_is_left_out_is_an_error_with_its_condition() -> None:
    text = GRAPH + "  - {name: ship, image: i, commands: [a], when: {event: tag}}\n"
    with pytest.raises(StepError, match=r"no step 'ship' runs here; it is left out: .*event"):
        steps(text, "ship")


def test_steps_that_make_the_checkout_are_not_left_out_in_silence() -> None:
    text = f"clone: [{{name: get, image: git, commands: [x]}}]{GRAPH}"
    with pytest.raises(StepError, match=r"make its checkout.*use --step"):
        steps(text, first="unit")
    assert steps(text, "deps") == ["get", "deps <get"]
