"""A value that breaks the file's YAML is named with its variable and its cell of the matrix."""

import json

import pytest

from tests.support.pipelines import plan_of, problems_of, push

VALUE = "    environment:\n      A: ${V}\n    commands: [echo]\n"
ITEM = "    commands:\n      - ${V}\n"
FLOW = "    commands: [echo, ${V}]\n"


def file(values: list[str], step: str) -> str:
    return f"matrix:\n  V: {json.dumps(values)}\nsteps:\n  - name: a\n    image: busybox\n{step}"


@pytest.mark.parametrize("step", [VALUE, ITEM, FLOW])
@pytest.mark.parametrize("value", ["*", "*.py", "@x", "`x", "%x", "*x", "[", "{", "'", '"', "key: [1", "&", "a: b: c"])
def test_any_value_that_breaks_it(value: str, step: str) -> None:
    said = problems_of(file(["fine", value], step))
    if value == "a: b: c" and step == FLOW:
        assert said  # a map, in a flow: valid as YAML
        return
    assert f"the value of ${{V}}, which is '{value}' (matrix: V={value})" in said[0]
    assert not any("indentation" in each or "': '" in each for each in said)


@pytest.mark.parametrize("bad", range(5))
def test_the_one_of_many_references_is_named(bad: int) -> None:
    values = {f"V{number}": "[" if number == bad else "fine" for number in range(5)}
    environment = "".join(f"      {name}: ${{{name}}}\n" for name in values)
    text = f"matrix:\n  include:\n    - {json.dumps(values)}\nsteps:\n  - name: a\n    image: busybox\n"
    said = problems_of(f"{text}    environment:\n{environment}    commands: [echo]\n")
    assert f"the value of ${{V{bad}}}, which is '['" in said[0]


@pytest.mark.parametrize(
    ("value", "step", "hint"),
    [
        ("*", VALUE, "write '${V}'"),
        ("it's: b", VALUE, 'write "${V}"'),
        ("it's", "    commands: ['${V}']\n", 'put the whole text around it in quotes: "...${V}..."'),
        ('a"b', '    commands:\n      - "${V}"\n', "put the whole text around it in quotes: '...${V}...'"),
        ("\"it's", '    commands:\n      - "${V}"\n', "in commands, write $V without braces"),
        ("", "    environment:\n      A: b:${V}\n      C: d\n    commands: {}\n", "in quotes: '...${V}...'"),
    ],
)
def test_the_hint_is_one_that_works(value: str, step: str, hint: str) -> None:
    said = next(each for each in problems_of(file([value], step)) if "error: " in each)
    assert hint in said
    if hint.startswith("write "):
        repaired = step.replace("${V}", hint.removeprefix("write "))
        assert plan_of(file([value], repaired)).jobs


@pytest.mark.parametrize(
    ("value", "step", "problem"),
    [
        ("{a: b}", "    image: ${V}\n", "unknown key 'a'"),
        ("!x", VALUE, "the tag '!x' means nothing here"),
        ("B", "    environment:\n      B: 1\n      ${V}: 2\n    commands: [echo]\n", "the key 'B' is here twice"),
    ],
)
def test_what_is_yaml_and_still_wrong_names_it_too(value: str, step: str, problem: str) -> None:
    text = file([value], step).replace("    image: busybox\n", "" if "image" in step else "    image: busybox\n")
    said = " ".join(problems_of(text))
    assert problem in said
    assert f"here is the value of ${{V}}, which is '{value}' (matrix: V={value})" in said


def test_the_whole_cell_is_named_and_the_right_variable() -> None:
    text = "matrix:\n  include:\n    - {OS: a, V: 'x: y'}\n    - {OS: b, V: z}\nsteps:\n  - name: a\n    image: ${OS}\n"
    (said,) = problems_of(text + VALUE)
    assert said.startswith("9:10: ")
    assert "the value of ${V}, which is 'x: y' (matrix: OS=a, V=x: y)" in said


def test_a_default_that_breaks_it_needs_no_matrix() -> None:
    step = "steps:\n  - name: a\n    image: busybox\n    environment:\n      A: ${NOPE:-a: b}\n    commands: [echo]\n"
    (said,) = problems_of(step)
    assert "the value of ${NOPE}, which is 'a: b'; put the whole text around it in quotes" in said


def test_a_file_that_is_broken_without_any_value_says_what_it_said() -> None:
    (said,) = problems_of(file(["a: b"], VALUE) + "  broken: [\n")
    assert "the value of" not in said


def test_long_values_are_cut() -> None:
    (said,) = problems_of(file(["*" * 60], VALUE))
    assert f"'{'*' * 60}'" in said
    (said,) = problems_of(file(["*" * 61], VALUE))
    assert f"'{'*' * 60}...'" in said


def test_a_value_from_outside_breaks_nothing() -> None:
    text = (
        "steps:\n  - name: a\n    image: busybox\n    environment:\n      A: ${CI_COMMIT_MESSAGE}\n    commands: [x]\n"
    )
    assert plan_of(text, push(message="a: b * [")).jobs
