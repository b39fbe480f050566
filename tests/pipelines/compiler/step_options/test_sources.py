"""``sources`` of steps: what is planned, what their environment lacks, and which steps cannot have any."""

import pytest

from pipelines.compiler.step_options.artifacts import PATTERNS_COUNT_MAX
from pipelines.plan import CommandsStep
from tests.support.pipelines import problems_of, step_of


def planned(more: str) -> CommandsStep:
    step = step_of(f"steps: [{{name: test, image: i, commands: x, {more}}}]")
    assert isinstance(step, CommandsStep)
    return step


def wrong(more: str) -> list[str]:
    return problems_of(f"steps: [{{name: test, image: i, commands: x, {more}}}]")


def test_a_step_has_sources() -> None:
    assert planned("sources: src").sources == ("src",)
    assert planned("sources: [./src/, '**/*.go']").sources == ("src", "**/*.go")


def test_a_step_with_sources_does_not_see_which_run_it_is_in() -> None:
    seen, other = planned("sources: src").container.environment, planned("timeout: 5s").container.environment
    hidden = {"CI_COMMIT_SHA", "CI_COMMIT_BRANCH", "CI_PIPELINE_EVENT"}
    assert hidden <= set(other)
    assert not hidden & set(seen)
    assert {"CI", "CI_STEP_NAME", "CI_REPO"} <= set(seen)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("detach: true", "with 'detach' it has no end of its own"),
        ("privileged: true", "'privileged' lets it use what is not in the repository"),
        ("volumes: ['/var:/var']", "'volumes' lets it use what is not in the repository"),
        ("devices: [/dev/kvm]", "'devices' lets it use what is not in the repository"),
        ("network_mode: host", "'network_mode' lets it use what is not in the repository"),
    ],
)
def test_a_step_that_sees_more_cannot_have_sources(more: str, why: str) -> None:
    assert any(f"step 'test' cannot have 'sources': {why}" in problem for problem in wrong(f"sources: a, {more}"))
    assert not any("'sources'" in problem for problem in wrong(more))


def test_a_step_of_clone_cannot_have_sources() -> None:
    clone = "clone: [{name: get, image: i, commands: x, sources: a}]\nsteps: [{name: t, image: i, commands: x}]"
    assert any("step 'get' cannot have 'sources': it makes the checkout" in problem for problem in problems_of(clone))


def test_patterns_stay_in_the_checkout_and_their_number_is_limited() -> None:
    (problem,) = wrong("sources: [ok, ../up]")
    assert "'../up' cannot be a pattern of sources: '..' leaves the folder" in problem
    most = [f"f{number}" for number in range(PATTERNS_COUNT_MAX)]
    assert len(planned(f"sources: [{', '.join(most)}]").sources) == PATTERNS_COUNT_MAX
    (problem,) = wrong(f"sources: [{', '.join([*most, 'more'])}]")
    assert "step 'test' has 65 patterns, and at most 64 are read" in problem


def test_a_plugin_has_no_sources() -> None:
    (problem,) = problems_of("steps: [{name: p, image: some/plugin, settings: {a: b}, sources: src}]")
    assert "sources" in problem
