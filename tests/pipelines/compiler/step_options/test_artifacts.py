"""Artifacts in the pipeline file: what steps keep, what workflows get, and what a mistake says."""

import pytest

from pipelines.compiler.step_options.artifacts import NAME_CHARACTERS_MAX, PATTERNS_COUNT_MAX
from pipelines.model.artifacts import LIFETIME_DAYS_MAX
from pipelines.plan import Artifacts, CommandsStep, PluginStep
from tests.support.pipelines import job_of, plan_of_files, problems_of, step_of

NO_PATTERN = "; write it relative to where the step starts, for example dist/** or report.xml"


def kept(text: str) -> Artifacts | None:
    step = step_of(f"steps: [{{name: test, image: i, commands: x, artifacts: {text}}}]")
    assert isinstance(step, CommandsStep)
    return step.artifacts


def wrong(text: str) -> list[str]:
    return problems_of(f"steps: [{{name: test, image: i, commands: x, artifacts: {text}}}]")


@pytest.mark.parametrize(
    ("text", "artifacts"),
    [
        ("report.xml", Artifacts(name="test", paths=("report.xml",))),
        ("[./dist/, '*.xml']", Artifacts(name="test", paths=("dist", "*.xml"))),
        ("{paths: a, exclude: ['*.o']}", Artifacts(name="test", paths=("a",), exclude=("*.o",))),
        ("{paths: a, when: always}", Artifacts(name="test", paths=("a",), when="always")),
        ("{paths: a, expire: 7d}", Artifacts(name="test", paths=("a",), expire_s=7 * 86_400)),
        ("{paths: a, expire: 1d12h30m}", Artifacts(name="test", paths=("a",), expire_s=131_400)),
        (f"{{paths: a, expire: {LIFETIME_DAYS_MAX}d}}", Artifacts(name="test", paths=("a",), expire_s=315_360_000)),
        ("{paths: a, expire: }", Artifacts(name="test", paths=("a",))),
        ("{paths: a, when: failure, name: Reports}", Artifacts(name="Reports", paths=("a",), when="failure")),
        ("", None),
    ],
)  # fmt: skip
def test_a_step_keeps_files(text: str, artifacts: Artifacts | None) -> None:
    assert kept(text) == artifacts


def test_a_plugin_keeps_files() -> None:
    step = step_of("steps: [{name: p, image: some/plugin, settings: {a: b}, artifacts: out}]")
    assert isinstance(step, PluginStep)
    assert step.artifacts == Artifacts(name="p", paths=("out",))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("/etc/passwd", "it begins with a slash"),
        ("../up", "'..' leaves the folder"),
        ("'{a,b/../../c}'", "'..' leaves the folder"),
        ("./", "it names no file; '**' stands for all"),
        ("''", "it names no file; '**' stands for all"),
        ("'a['", "'[' is not closed in the pattern 'a['"),
        ('"a\\tb"', "it has a character that cannot be shown"),
    ],
)
def test_a_pattern_stays_in_the_folder_of_the_step(pattern: str, why: str) -> None:
    (problem,) = wrong(f"[ok, {pattern}]")
    assert problem.startswith("1:61: error: ")
    assert problem.endswith(f" cannot be a pattern of artifacts: {why}{NO_PATTERN}")


def test_exclude_is_checked_as_paths_are() -> None:
    (problem,) = wrong("{paths: a, exclude: [/b]}")
    assert problem.startswith("1:77: error: '/b' cannot be a pattern of artifacts: it begins with a slash")


def test_the_number_of_patterns_is_limited() -> None:
    most = [f"f{number}" for number in range(PATTERNS_COUNT_MAX)]
    assert kept(f"[{', '.join(most)}]") is not None
    (problem,) = wrong(f"[{', '.join([*most, 'more'])}]")
    assert "step 'test' has 65 patterns, and at most 64 are read; name a folder in place of its files" in problem


def test_the_name_is_one_short_line() -> None:
    assert kept(f"{{paths: a, name: {'n' * NAME_CHARACTERS_MAX}}}") is not None
    message = "error: the name of artifacts is one line of at most 100 characters; shorten it"
    assert wrong(f"{{paths: a, name: {'n' * (NAME_CHARACTERS_MAX + 1)}}}") == [f"1:73: {message}"]
    assert wrong('{paths: a, name: "a\\nb"}') == [f"1:73: {message}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{paths: a, expire: 7x}", "'expire': a number of days, hours or minutes is wanted here, not '7x'"),
        ("{paths: a, expire: [1d]}", "'expire': a number of days, hours or minutes is wanted here, not a list"),
        ("{paths: a, expire: 0d}", "'expire': artifacts are kept for more than nothing and at most 3650 days"),
        (f"{{paths: a, expire: {LIFETIME_DAYS_MAX}d1m}}", "'expire': artifacts are kept for more than nothing"),
        ("{paths: a, when: now}", "'when': 'now' is not a valid value; the values are success, failure and always"),
        ("{exclude: a}", "'paths' is missing or empty in step 'test'"),
        ("{paths: []}", "'paths' is missing or empty in step 'test'"),
    ],
)
def test_a_mistake_says_what_is_valid(text: str, problem: str) -> None:
    assert problem in wrong(text)[0]


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (
            "[{name: s, image: i, commands: x, detach: true, artifacts: a}]",
            "1:56: error: step 's' keeps no artifacts: with 'detach' it has no end of its own; let another step do it",
        ),
        (
            "[{name: s, image: plugins/docker, settings: {repo: a/b}, artifacts: a}]",
            "1:65: error: step 's' keeps no artifacts: it builds or pushes an image, and writes no files; let another",
        ),
        ("[{name: s, build: ., artifacts: a}]", "1:29: error: 'artifacts' does not go with 'build' in step 's'"),
    ],
)
def test_some_steps_keep_nothing(steps: str, problem: str) -> None:
    (found,) = problems_of(f"steps: {steps}")
    assert found.startswith(problem)


def test_the_step_that_makes_the_checkout_keeps_nothing() -> None:
    (found,) = problems_of(
        "clone: {git: {image: woodpeckerci/plugin-git, artifacts: a}}\nsteps: [{name: s, image: i, commands: x}]"
    )
    assert "step 'git' keeps no artifacts: it makes the checkout" in found


ONE = "steps: [{name: s, image: i, commands: x}]"


def restored(deploy: str) -> tuple[str, ...]:
    files = {".headway/build.yml": ONE, ".headway/lint.yml": ONE, ".headway/deploy.yml": f"{deploy}\n{ONE}"}
    (job,) = (job for job in plan_of_files(files).jobs if job.name == "deploy")
    return job.restored_from


@pytest.mark.parametrize(
    ("deploy", "names"),
    [
        ("", ()),
        ("depends_on: [build, lint]", ("build", "lint")),
        ("depends_on: [build, lint]\nartifacts: {from: [build]}", ("build",)),
        ("depends_on: [build, lint]\nartifacts: {from: build}", ("build",)),
        ("depends_on: [build, lint]\nartifacts: {from: []}", ()),
        ("depends_on: [build, {name: gone, optional: true}]", ("build",)),
        ("depends_on: [build, {name: gone, optional: true}]\nartifacts: {from: [build, gone]}", ("build",)),
    ],
)
def test_a_workflow_gets_the_artifacts_of_those_that_it_depends_on(deploy: str, names: tuple[str, ...]) -> None:
    assert restored(deploy) == names


def test_from_names_a_workflow_that_is_waited_for() -> None:
    asked = "depends_on: [{name: build, optional: true}]\nartifacts: {from: [build, biuld, other]}\n"
    near, none = problems_of(f"{asked}{ONE}")
    message = "which is not in 'depends_on'"
    assert near == f"2:27: error: artifacts are asked of workflow 'biuld', {message}; did you mean 'build'?"
    assert none == (
        f"2:34: error: artifacts are asked of workflow 'other', {message}; "
        "add it there: its artifacts are kept when it has ended"
    )


def test_a_plan_of_before_there_were_artifacts_is_read() -> None:
    job = job_of(ONE)
    old = job.model_dump(mode="json", exclude={"restored_from": True, "steps": {"__all__": {"artifacts"}}})
    assert type(job).model_validate(old) == job
