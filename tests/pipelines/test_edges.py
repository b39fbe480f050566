"""Values at the edges of the pipeline language: nothing found, nothing given, all of it, the very last."""

import json

import pytest

from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.context import Context, RepoInfo
from pipelines.matching.glob import matches
from pipelines.matching.regex import search
from pipelines.plan import CommandsStep, Container, PluginStep
from pipelines.syntax.diagnostics import did_you_mean
from pipelines.trigger import Trigger
from tests.support.pipelines import job_of, plan_of, problems_of, push, value_of


def only_container(text: str, trigger: Trigger | None = None) -> Container:
    """The container of the only step."""
    (step,) = job_of(text, trigger).steps
    assert isinstance(step, CommandsStep | PluginStep)
    return step.container


def echoed(text: str, branch: str = "main") -> str:
    """What ``text`` becomes in an environment variable of a push to ``branch``."""
    file = f"steps: [{{image: i, commands: x, environment: {{A: '{text}'}}}}]"
    return value_of(only_container(file, push(branch)), "A")


def test_a_problem_inside_a_value_of_the_matrix_is_shown_where_the_value_is_used() -> None:
    """The value's own text is not in this line, so only the reference can be pointed at."""
    text = """
        matrix:
          STEP: ["{name: a, image: i, commands: x, comands: y}"]
        steps:
          - ${STEP}
          - {name: b, image: i, comands: z}
        """
    first, second = problems_of(text)
    assert first.startswith("4:5: error: unknown key 'comands'")
    assert second.startswith("5:25: error: unknown key 'comands'")


@pytest.mark.parametrize("value", ["[y]", "{y: z}"])
def test_a_problem_with_a_value_of_the_matrix_is_shown_at_the_value(value: str) -> None:
    problems = problems_of(f"matrix:\n  A:\n    - x\n    - {value}\nsteps: [{{image: i, commands: x}}]")
    assert [problem.partition(" error")[0] for problem in problems] == ["4:7:"]


def test_a_problem_with_a_value_under_include_is_shown_at_the_value() -> None:
    problems = problems_of("matrix:\n  include:\n    - A: x\n      B: [y]\nsteps: [{image: i, commands: x}]")
    assert [problem.partition(" error")[0] for problem in problems] == ["4:10:"]


@pytest.mark.parametrize("operator", ["#z*", "##z*", "%z*", "%%z*", "#*z", "%*z"])
def test_where_a_pattern_matches_nothing_the_value_stays(operator: str) -> None:
    assert echoed(f"${{CI_COMMIT_BRANCH{operator}}}", "release/1.2") == "release/1.2"


@pytest.mark.parametrize(
    ("operator", "result"),
    [
        ("#r*e", "lease/1.2"),
        ("##r*e", "/1.2"),
        ("%e*2", "releas"),
        ("%%e*2", "r"),
        ("#*", "elease/1.2"),
        ("##*", ""),
        ("%*", "release/1."),
        ("%%*", ""),
        (":0", "release/1.2"),
        (":0:0", ""),
        (":0:1", "r"),
        (":10", "2"),
        (":11", ""),
        (":8:-1", ""),
        ("/e/E", "rElease/1.2"),
        ("//e/E", "rElEasE/1.2"),
        ("//e/", "rlas/1.2"),
        ("/#re/X", "Xlease/1.2"),
        ("/#lease/X", "release/1.2"),
        ("/%1.2/X", "release/X"),
        ("/%1/X", "release/1.2"),
        ("/%1.2/", "release/"),
    ],
)
def test_operators_at_the_ends_of_a_value(operator: str, result: str) -> None:
    assert echoed(f"${{CI_COMMIT_BRANCH{operator}}}", "release/1.2") == result


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a?", "a", False),
        ("a?", "ab", True),
        ("?", "", False),
        ("?", "/", False),
        ("[!a]", "a", False),
        ("[!a]", "b", True),
        ("[^a]", "b", True),
        ("[!a]", "!", True),
        ("a**/b", "ax/b", True),
        ("a**/b", "ax/y/b", False),
        ("a/**b", "a/xb", True),
        ("a/**b", "a/x/b", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**", "a", True),
        ("a/**", "a/b/c", True),
        ("a/**", "ab", False),
        ("**", "a/b", True),
        ("**", "", True),
        ("**/a", "a", True),
        ("**/a", "x/a", True),
        ("**/a", "xa", False),
        ("*a*b*", "xaybza", True),
        ("*a*b*", "xbya", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_patterns_at_the_ends_of_a_text(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a{0}$", "", True),
        ("^a{0}$", "a", False),
        ("^a{2,}$", "a", False),
        ("^a{2,}$", "aa", True),
        ("^a{1,2}$", "aaa", False),
        ("^$", "", True),
        ("^(a|)$", "", True),
        ("a|b", "c", False),
    ],
)
def test_regular_expressions_at_the_ends_of_a_text(pattern: str, text: str, found: bool) -> None:
    assert search(pattern, text) is found


@pytest.mark.parametrize("value", ["12345678901234567890123", "-9007199254740993", "0", "007"])
def test_a_plugin_gets_a_whole_number_with_all_its_digits(value: str) -> None:
    container = only_container(f"steps: [{{image: i, settings: {{x: {value}}}}}]")
    assert value_of(container, "PLUGIN_X") == value


def test_a_plugin_gets_text_in_json_as_it_is() -> None:
    text = value_of(only_container("steps: [{image: i, settings: {x: {ä: [ü, ☃]}}}]"), "PLUGIN_X")
    assert json.loads(text) == {"ä": ["ü", "☃"]}
    assert text == '{"ä":["ü","☃"]}'


@pytest.mark.parametrize(("depth", "fits"), [("0", True), ("1", True), ("²", False), ("٣", False), ("-1", False)])
def test_the_depth_of_the_checkout_is_a_number(depth: str, fits: bool) -> None:
    text = f"clone: [{{image: plugin-git, settings: {{depth: '{depth}'}}}}]\nsteps: [{{image: i, commands: x}}]"
    assert (problems_of(text) == []) is fits


@pytest.mark.parametrize(
    "image", ["plugin-git", "woodpeckerci/plugin-git:2", "drone/drone-git", "x/plugin-git@sha256:0"]
)
def test_a_step_that_clones_with_git_is_the_checkout(image: str) -> None:
    job = job_of(f"clone: [{{image: '{image}', settings: {{depth: 7}}}}]\nsteps: [{{image: i, commands: x}}]")
    assert job.checkout is not None
    assert job.checkout.depth == 7
    assert len(job.steps) == 1


def test_a_word_is_suggested_among_a_hundred_and_among_more() -> None:
    for count in (100, 101, 1000):
        names = [f"unrelated-{number}" for number in range(count - 1)]
        assert did_you_mean("comands", [*names, "commands"]) == "did you mean 'commands'?", count
        assert did_you_mean("comands", names) == "", count
    assert did_you_mean("Ommands", [*(f"c{number}" for number in range(50)), *map(str, range(99)), "commands"]) != ""


def test_of_many_words_those_are_compared_that_begin_alike() -> None:
    """What begins otherwise has to stand aside where there are too many of the same length."""
    others = [f"x{number:06}" for number in range(200)]
    assert did_you_mean("comands", [*others, "commands"]) == "did you mean 'commands'?"
    assert did_you_mean("xommands", [*others, "commands"]) == ""


def test_a_dockerfile_alone_is_built_and_pushed_as_one_job() -> None:
    repo = RepoInfo("me/app", "https://git.example.org/me/app.git")
    plan = dockerfile_plan(Context(repo, run_number=7, push_repo="registry.test/me/app"), push())
    (job,) = plan.jobs
    assert (job.name, job.file, job.number) == ("Dockerfile", "Dockerfile", 1)
    assert [(step.number, step.name) for step in job.steps] == [(1, "build"), (2, "push")]


def test_jobs_are_numbered_from_one_in_the_order_of_the_matrix() -> None:
    plan = plan_of("matrix: {A: [b, a], B: [2, 1]}\nsteps: [{image: i, commands: x}]")
    assert [(job.number, job.cell["A"], job.cell["B"]) for job in plan.jobs] == [
        (1, "b", "2"),
        (2, "b", "1"),
        (3, "a", "2"),
        (4, "a", "1"),
    ]
