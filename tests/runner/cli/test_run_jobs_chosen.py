"""``headway run --workflow`` and ``--matrix``: which jobs of a plan run."""

import pytest

from runner.cli.run.choice.jobs import NAMES_SHOWN_MAX, selected
from runner.errors import StepError
from tests.support.pipelines import plan_of_files

STEPS = "steps: [{name: t, image: 'alpine:3', commands: [ls]}]"
PLAN = plan_of_files(
    {
        ".headway/a.yml": STEPS,
        ".headway/b.yml": f"depends_on: [a]\nmatrix: {{GO: ['1', '2'], DB: [x, y]}}\n{STEPS}",
        ".headway/c.yml": f"depends_on: [a, b]\n{STEPS}",
    }
)


def titles(*workflows: str, cells: tuple[str, ...] = ()) -> list[str]:
    return [job.title for job in selected(PLAN, workflows, cells).jobs]


def test_without_a_choice_all_run() -> None:
    assert selected(PLAN, (), ()) is PLAN


def test_only_what_is_named_runs() -> None:
    assert titles("c", "a") == ["a", "c"]
    assert titles("b", cells=("GO=2",)) == ["b x, 2", "b y, 2"]
    assert titles(cells=("GO=2", "DB=y")) == ["b y, 2"]


def test_nothing_waits_for_a_workflow_that_does_not_run() -> None:
    (_, job) = selected(PLAN, ("c", "a"), ()).jobs
    assert (job.needs, job.restored_from) == (("a",), ("a",))
    (job,) = selected(PLAN, ("c",), ()).jobs
    assert (job.needs, job.restored_from) == ((), ())


@pytest.mark.parametrize(
    ("workflows", "cells", "text"),
    [
        (("x",), (), "no workflow 'x' runs here; the jobs are: 'a', 'b x, 1', 'b x, 2', 'b y, 1', 'b y, 2', 'c'"),
        (("aa",), (), "no workflow 'aa' runs here; did you mean 'a'? the jobs are: 'a', 'b x, 1'"),
        ((), ("GO=3",), "no job has GO=3 in its matrix; the jobs are: 'a', 'b x, 1'"),
        ((), ("GO",), "the combination 'GO' is not NAME=VALUE"),
        ((), ("=1",), "the combination '=1' is not NAME=VALUE"),
    ],
)
def test_names_that_are_not_there(workflows: tuple[str, ...], cells: tuple[str, ...], text: str) -> None:
    with pytest.raises(StepError) as raised:
        selected(PLAN, workflows, cells)
    assert str(raised.value).startswith(text)


def test_a_workflow_that_is_left_out_is_an_error_with_its_condition() -> None:
    files = {".headway/a.yml": STEPS, ".headway/release.yml": f"when: {{event: tag}}\n{STEPS}"}
    with pytest.raises(StepError, match=r"no workflow 'release' runs here; it is left out: .*event"):
        selected(plan_of_files(files), ("release",), ())


@pytest.mark.parametrize(("count", "more"), [(NAMES_SHOWN_MAX, 0), (NAMES_SHOWN_MAX + 1, 1)])
def test_an_error_lists_so_many_names_and_no_more(count: int, more: int) -> None:
    plan = plan_of_files({f".headway/w{number:02}.yml": STEPS for number in range(count)})
    with pytest.raises(StepError) as raised:
        selected(plan, ("nothing",), ())
    listed = str(raised.value).partition("the jobs are: ")[2]
    assert listed.count("'") == 2 * NAMES_SHOWN_MAX
    assert listed.endswith(" and 1 more" if more else f"'w{count - 1:02}'")
