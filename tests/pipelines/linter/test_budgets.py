"""What lint tries for one file, at each limit and one past it."""

import pytest

from pipelines.context import PipelineFile
from pipelines.interpolation.renderer import Variables
from pipelines.linter.linter import (
    ANY_REPO,
    CELLS_CHARACTERS_MAX,
    DECISIONS_COUNT_MAX,
    READ_CHARACTERS_MAX,
    STEPS_PLANNED_COUNT_MAX,
    lint_files,
)
from pipelines.linter.sample_triggers import TRIGGERS_COUNT_MAX, VALUES_COUNT_MAX, triggers_for
from pipelines.parser.reader import read_file
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.trigger import Event, Trigger

ONE = "steps: [{name: s, image: 'i:1', commands: x}]\n"
REMOVED = "step 'b' depends on 'a', which does not run: the event"


def lint(text: str) -> str:
    return "\n".join(map(str, lint_files([PipelineFile(".headway.yml", text.encode())], ANY_REPO)))


def padded(text: str, characters: int) -> str:
    """The text with a comment, so that it has this many characters."""
    return text + "#" * (characters - len(text))


def tried(text: str) -> list[Trigger]:
    """The sample triggers for this file, whose default branch is main."""
    diagnostics = Diagnostics(".headway.yml")
    (read,) = read_file(PipelineFile(".headway.yml", text.encode()), Variables({}), diagnostics)
    return triggers_for(read.located.workflow, "main")


@pytest.mark.parametrize(("named", "count"), [(4, 6), (5, 7), (6, 7), (60, 7)])
def test_of_the_branches_that_conditions_name_the_first_are_tried(named: int, count: int) -> None:
    names = [f"b{number}" for number in range(named)]
    branches = [trigger.branch for trigger in tried(f"when: {{event: push, branch: {names}}}\n{ONE}")]
    assert branches == ["main", *names[: VALUES_COUNT_MAX - 1], "another-branch"]
    assert len(branches) == count


@pytest.mark.parametrize(("tags", "count"), [(1, 59), (2, 60), (3, 60)])
def test_a_file_is_tried_with_at_most_60_triggers_and_with_each_of_its_events(tags: int, count: int) -> None:
    names = [f"b{number}" for number in range(9)]
    refs = [f"refs/tags/{number}" for number in range(tags)]
    # 7 times 7 crons on branches, 7 pushes, and beside the tags that are named 2
    triggers = tried(f"""
when: [{{event: cron, cron: {names}, branch: {names}}}, {{event: push}}, {{event: tag, ref: {refs}}}]
{ONE}""")
    assert len(triggers) == count
    assert count == TRIGGERS_COUNT_MAX or tags == 1
    assert [trigger.event for trigger in triggers[:3]] == [Event.PUSH, Event.TAG, Event.CRON]


def test_a_problem_that_several_triggers_have_is_reported_once() -> None:
    text = """
steps:
  - {name: a, image: "i:1", commands: x, when: {event: push}}
  - {name: b, image: "i:1", commands: x, depends_on: a}
  - {name: c, image: "i:1", commands: x, when: {event: tag}}
"""
    assert lint(text).count(REMOVED) == 1


@pytest.mark.parametrize("past", [0, 1])
def test_conditions_that_cost_much_are_evaluated_for_fewer_triggers(past: int) -> None:
    # The workflow, its steps and their conditions cost 7 together, a pattern with six commas 64, an expression a tenth
    # of its characters.
    characters = 10 * (DECISIONS_COUNT_MAX - 7 - 156 * 64 + past)
    expression = f"A == '{'b' * (characters - 7)}'"
    costly = ", ".join(["'{a,b,c,d,e,f,g}'"] * 156)
    text = f"""
when: {{event: [push, tag]}}
steps:
  - {{name: a, image: "i:1", commands: x, when: {{event: push}}}}
  - {{name: b, image: "i:1", commands: x, depends_on: a}}
  - {{name: c, image: "i:1", commands: x, when: {{repo: [{costly}], evaluate: "{expression}"}}}}
"""
    assert (f"{REMOVED} is tag" in lint(text)) == (past == 0)


@pytest.mark.parametrize("past", [0, 1])
def test_a_text_that_differs_for_each_trigger_is_read_until_the_limit(past: int) -> None:
    text = """
when: {event: [push, tag]}
steps:
  - {name: a, image: "i:1", commands: x, when: {event: push}}
  - {name: b, image: "i:1", commands: x, depends_on: a, environment: {B: "${CI_COMMIT_BRANCH}"}}
"""
    growth = len("main") - len("${CI_COMMIT_BRANCH}")
    assert (f"{REMOVED} is tag" in lint(padded(text, READ_CHARACTERS_MAX - growth + past))) == (past == 0)


@pytest.mark.parametrize("past", [0, 1])
def test_of_a_large_matrix_some_cells_are_read(past: int) -> None:
    text = """
matrix: {V: [a, b, c, d]}
steps:
  - {name: a, image: "i:1", commands: x, when: {matrix: {V: e}}}
"""
    warned = "step 'a' never runs" in lint(padded(text, CELLS_CHARACTERS_MAX // 4 + past))
    assert warned == (past == 0), "a condition on the matrix is judged only where every cell was read"


@pytest.mark.slow
@pytest.mark.parametrize("past", [0, 1])
def test_a_file_with_many_steps_is_planned_for_fewer_triggers(past: int) -> None:
    steps = STEPS_PLANNED_COUNT_MAX // 2 + past
    text = """
when: {event: [push, tag, pull_request]}
steps:
  - {name: a, image: "i:1", commands: x, when: {event: [push, tag]}}
  - {name: b, image: "i:1", commands: x, depends_on: a}
  - {name: c, image: "i:1", commands: x, when: {event: push}}
""" + "".join(f"  - {{name: s{number}, image: 'i:1', commands: x}}\n" for number in range(steps - 3))
    assert (f"{REMOVED} is pull_request" in lint(text)) == (past == 0)
