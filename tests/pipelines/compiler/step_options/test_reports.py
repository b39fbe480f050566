"""Reports in the pipeline file: which files are read, and what a mistake says."""

import pytest

from pipelines.compiler.step_options.artifacts import PATTERNS_COUNT_MAX
from pipelines.plan import CommandsStep, PluginStep
from pipelines.step_options.report_files import Reports
from tests.support.pipelines import job_of, problems_of, step_of


def asked(text: str) -> Reports | None:
    step = step_of(f"steps: [{{name: test, image: i, commands: x, reports: {text}}}]")
    assert isinstance(step, CommandsStep)
    return step.reports


def wrong(text: str) -> list[str]:
    return problems_of(f"steps: [{{name: test, image: i, commands: x, reports: {text}}}]")


@pytest.mark.parametrize(
    ("text", "reports"),
    [
        ("{junit: report.xml}", Reports(junit=("report.xml",))),
        ("{junit: [./a/*.xml, 'b/**'], coverage: c.xml}", Reports(junit=("a/*.xml", "b/**"), coverage=("c.xml",))),
        ("{coverage: lcov.info}", Reports(coverage=("lcov.info",))),
        ("", None),
    ],
)
def test_a_step_has_reports(text: str, reports: Reports | None) -> None:
    assert asked(text) == reports


def test_a_plugin_has_reports() -> None:
    step = step_of("steps: [{name: p, image: some/plugin, settings: {a: b}, reports: {junit: r.xml}}]")
    assert isinstance(step, PluginStep)
    assert step.reports == Reports(junit=("r.xml",))


def test_a_pattern_stays_in_the_folder_of_the_step() -> None:
    first, second = wrong("{junit: /etc/passwd, coverage: [ok, ../up]}")
    hint = "write it relative to where the step starts, for example dist/** or report.xml"
    assert "'/etc/passwd' cannot be a pattern of reports: it begins with a slash" in first
    assert f"'../up' cannot be a pattern of reports: '..' leaves the folder; {hint}" in second


def test_the_number_of_patterns_is_limited() -> None:
    most = [f"f{number}" for number in range(PATTERNS_COUNT_MAX)]
    assert asked(f"{{junit: [{', '.join(most)}]}}") is not None
    (problem,) = wrong(f"{{junit: [{', '.join([*most, 'more'])}]}}")
    assert "step 'test' has 65 patterns, and at most 64 are read" in problem


def test_reports_without_files_are_a_mistake() -> None:
    (problem,) = wrong("{}")
    assert "'reports' of step 'test' names no file; write for example reports: {junit: report.xml}" in problem


def test_a_pattern_alone_says_what_is_wanted() -> None:
    (problem,) = wrong("report.xml")
    assert "a map with 'junit' or 'coverage'" in problem


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (
            "[{name: s, image: i, commands: x, detach: true, reports: {junit: a}}]",
            "step 's' has no reports: with 'detach' it has no end of its own; let another step write them",
        ),
        (
            "[{name: s, image: plugins/docker, settings: {repo: a/b}, reports: {junit: a}}]",
            "step 's' has no reports: it builds or pushes an image, and writes no files",
        ),
        ("[{name: s, build: ., reports: {junit: a}}]", "'reports' does not go with 'build' in step 's'"),
    ],
)
def test_some_steps_have_none(steps: str, problem: str) -> None:
    (found,) = problems_of(f"steps: {steps}")
    assert problem in found


def test_a_step_without_a_name_is_named_by_its_number() -> None:
    (problem,) = problems_of("steps: [{image: i, commands: x, detach: true, reports: {junit: a}}]")
    assert "step 'step-0' has no reports" in problem


def test_the_step_that_makes_the_checkout_has_none() -> None:
    (found,) = problems_of(
        "clone: {git: {image: woodpeckerci/plugin-git, reports: {junit: a}}}\nsteps: [{name: s, image: i, commands: x}]"
    )
    assert "step 'git' has no reports: it makes the checkout" in found


def test_a_plan_of_before_there_were_reports_is_read() -> None:
    job = job_of("steps: [{name: s, image: i, commands: x}]")
    old = job.model_dump(mode="json", exclude={"steps": {"__all__": {"reports"}}})
    assert type(job).model_validate(old) == job
