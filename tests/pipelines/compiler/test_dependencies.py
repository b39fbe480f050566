"""Dependencies between steps, and between workflows."""

import pytest

from pipelines.problem import InvalidPipelineError
from pipelines.trigger import Trigger
from tests.support.pipelines import container_of, job_of, plan_of, plan_of_files, problems_of, push, tag


def needs(text: str, trigger: Trigger | None = None) -> dict[str, set[str]]:
    steps = job_of(text, trigger).steps
    names = {step.number: step.name for step in steps}
    return {step.name: {names[number] for number in step.needs} for step in steps}


def steps(*given: tuple[str, str]) -> str:
    return "steps: [" + ", ".join(f"{{name: {name}, image: i, commands: x{more}}}" for name, more in given) + "]"


def test_without_depends_on_each_step_needs_the_one_before() -> None:
    assert needs(steps(("a", ""), ("b", ""), ("c", ""))) == {"a": set(), "b": {"a"}, "c": {"b"}}


def test_with_any_depends_on_the_steps_are_a_graph() -> None:
    text = steps(("a", ""), ("b", ""), ("c", ", depends_on: [a, b]"), ("d", ", depends_on: c"))
    assert needs(text) == {"a": set(), "b": set(), "c": {"a", "b"}, "d": {"c"}}


def test_an_empty_depends_on_makes_a_graph_too() -> None:
    assert needs(steps(("a", ""), ("b", ", depends_on: []"))) == {"a": set(), "b": set()}


def test_a_depends_on_without_a_value_is_ignored() -> None:
    assert needs(steps(("a", ""), ("b", ", depends_on: "))) == {"a": set(), "b": {"a"}}


def test_steps_may_depend_on_later_ones() -> None:
    assert needs(steps(("a", ", depends_on: b"), ("b", ""))) == {"a": {"b"}, "b": set()}


def test_an_unknown_step_is_refused_with_the_nearest_name() -> None:
    assert problems_of(steps(("test", ""), ("b", ", depends_on: [tset]"))) == [
        "1:92: error: step 'b' depends on 'tset', which is not a step here; did you mean 'test'?"
    ]


def test_a_step_that_does_not_run_cannot_be_needed_unless_it_is_optional() -> None:
    text = steps(("a", ", when: {event: tag}"), ("b", ", depends_on: [a]"))
    (problem,) = problems_of(text)
    assert problem.startswith("1:109: error: step 'b' depends on 'a', which does not run: the event is push, not tag")
    assert problem.endswith("if it may be missing, write {name: a, optional: true}")
    assert problems_of(text, tag()) == []
    optional = steps(("a", ", when: {event: tag}"), ("b", ", depends_on: [{name: a, optional: true}]"))
    assert needs(optional) == {"b": set()}
    assert needs(optional, tag()) == {"a": set(), "b": {"a"}}


def test_a_workflow_that_does_not_run_is_left_out_although_a_needed_step_would_not_run() -> None:
    text = "when: {event: tag}\n" + steps(("a", ", when: {event: cron}"), ("b", ", depends_on: [a]"))
    assert problems_of(text) == []
    assert plan_of(text).jobs == ()


def test_a_cycle_is_refused_and_its_steps_are_named() -> None:
    text = steps(("a", ", depends_on: c"), ("b", ", depends_on: a"), ("c", ", depends_on: b"))
    (problem,) = problems_of(text)
    assert "these steps wait for each other: " in problem
    assert all(f"'{name}'" in problem for name in "abc")
    assert "wait for each other: 'a' -> 'a'" in problems_of(steps(("a", ", depends_on: a")))[0]


def test_in_a_graph_names_must_differ() -> None:
    assert problems_of(steps(("a", ", depends_on: []"), ("a", ""))) == [
        "1:66: error: two steps are named 'a'; with depends_on in the file, names must differ"
    ]
    assert problems_of(steps(("a", ""), ("a", ""))) == []


def test_a_detached_step_has_a_place_in_the_order() -> None:
    in_order = steps(("a", ""), ("server", ", detach: true"), ("test", ""), ("last", ""))
    assert needs(in_order) == {"a": set(), "server": {"a"}, "test": {"server"}, "last": {"test"}}
    graph = steps(("a", ""), ("server", ", detach: true, depends_on: [a]"), ("test", ", depends_on: [server]"))
    assert needs(graph) == {"a": set(), "server": {"a"}, "test": {"server"}}


def test_the_image_of_a_build_is_an_implicit_dependency() -> None:
    text = """
    steps:
      app: {build: .}
      lint: {image: i, commands: x, depends_on: []}
      test: {commands: x}
      more: {commands: x, depends_on: [lint]}
    """
    assert needs(text) == {"app": set(), "lint": set(), "test": {"app"}, "more": {"app", "lint"}}


def test_in_a_graph_a_push_waits_for_every_step_before_it_unless_it_says_otherwise() -> None:
    text = """
    steps:
      app: {build: .}
      lint: {image: i, commands: x, depends_on: []}
      test: {commands: x}
      push: {push: {repo: a/b}}
      early: {push: {repo: a/b}, depends_on: [lint]}
      late: {image: i, commands: x}
    """
    found = needs(text)
    assert found["push"] == {"app", "lint", "test"}
    assert found["early"] == {"app", "lint"}
    assert found["late"] == set()


def test_old_groups_run_side_by_side() -> None:
    text = steps(("a", ""), ("b", ", group: g"), ("c", ", group: g"), ("d", ", group: h"), ("e", ""))
    assert needs(text) == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": {"d"}}
    assert "'group' is an old key" in problems_of(text)[0]


ONE = "steps: [{image: i, commands: x}]\n"


def test_every_file_is_a_job_and_jobs_are_numbered() -> None:
    plan = plan_of_files({".headway/b.yml": ONE, ".headway/a.yml": "depends_on: b\n" + ONE})
    assert [(job.name, job.file, job.number, job.needs) for job in plan.jobs] == [
        ("a", ".headway/a.yml", 1, ("b",)),
        ("b", ".headway/b.yml", 2, ()),
    ]
    assert [container_of(job.steps[0]).environment["CI_WORKFLOW_NUMBER"] for job in plan.jobs] == [
        ("1",),
        ("2",),
    ]


def test_a_job_whose_need_does_not_run_is_left_out_and_so_on() -> None:
    files = {
        ".headway/a.yml": "when: {event: tag}\n" + ONE,
        ".headway/b.yml": "depends_on: [a]\n" + ONE,
        ".headway/c.yml": "depends_on: [b]\n" + ONE,
        ".headway/d.yml": "depends_on: [{name: a, optional: true}]\n" + ONE,
    }
    plan = plan_of_files(files)
    assert [(job.name, job.number, job.needs) for job in plan.jobs] == [("d", 1, ())]
    assert [(left.what, left.why) for left in plan.left_out] == [
        ("workflow 'a'", "the event is push, not tag"),
        ("workflow 'b'", "it depends on workflow 'a', which does not run"),
        ("workflow 'c'", "it depends on workflow 'b', which does not run"),
    ]
    assert [job.name for job in plan_of_files(files, tag()).jobs] == ["a", "b", "c", "d"]
    assert plan_of_files(files, tag()).jobs[3].needs == ("a",)


def test_a_workflow_that_does_not_exist_is_a_warning_with_its_place() -> None:
    plan = plan_of_files({".headway/test.yml": ONE, ".headway/b.yml": ONE + "depends_on:\n  - tset\n"})
    assert [str(warning) for warning in plan.warnings] == [
        (
            ".headway/b.yml:3:5: warning: workflow 'b' depends on 'tset', which does not exist, so it never runs; "
            "did you mean 'test'?"
        )
    ]


def test_a_workflow_cannot_wait_for_itself() -> None:
    (problem, *_) = problems_of("depends_on: headway\n" + ONE)
    assert problem == "1:13: error: workflow 'headway' depends on itself; remove it from depends_on"


def test_workflows_cannot_wait_for_each_other() -> None:
    with pytest.raises(InvalidPipelineError, match=r"these workflows wait for each other: '[ab]' -> '[ab]' -> '[ab]'"):
        plan_of_files({".headway/a.yml": "depends_on: b\n" + ONE, ".headway/b.yml": "depends_on: a\n" + ONE})


def test_nothing_to_run_is_a_plan_too() -> None:
    plan = plan_of("when: {branch: dev}\n" + ONE, push("main"))
    assert plan.jobs == ()
