"""What the compiler refuses and leaves out where the repository, or the run, is not trusted."""

import pytest

from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.context import FULL_TRUST, Trust
from pipelines.plan import BuildStep
from tests.support.pipelines import CONTEXT, TRUSTED, event, names_of, plan_of, problems_of, step_of

WHY = "it comes from a fork"
UNTRUSTED = CONTEXT._replace(untrusted=WHY)


def built(key: str, value: str) -> str:
    return f"steps:\n  - name: app\n    build:\n      {key}: {value}\n"


PLUGIN = """
steps:
  - name: app
    image: woodpeckerci/plugin-docker-buildx
    settings: {{repo: r.test/app, {setting}}}
"""
REACHES_THE_HOST = [
    ("network", "host", "network"),
    ("ssh", "[default]", "ssh"),
    ("args", "{BUILDKIT_SYNTAX: evil/frontend}", "security"),
    ("args", "[BUILDKIT_SYNTAX=evil/frontend]", "security"),
    ("args", '{" BUILDKIT_SYNTAX": x}', "security"),
    ("cache_from", "type=gha", "network"),
    ("cache_to", "[type=inline, 'type=s3,bucket=b']", "network"),
    ("dockerfile_inline", '"# syntax=evil/frontend\\nFROM busybox"', "security"),
]


@pytest.mark.parametrize(("key", "value", "trust"), REACHES_THE_HOST)
def test_a_build_option_that_reaches_the_host_needs_trust(key: str, value: str, trust: str) -> None:
    (problem,) = problems_of(built(key, value))
    assert problem.startswith("4:7: error:")
    assert f"'{key}' in step 'app' needs trust in '{trust}', which this repository does not have" in problem
    others = CONTEXT._replace(repo=CONTEXT.repo._replace(trust=FULL_TRUST._replace(**{trust: False})))
    assert len(problems_of(built(key, value), context=others)) == 1, "no other trust replaces it"
    only = CONTEXT._replace(repo=CONTEXT.repo._replace(trust=Trust(**{trust: True})))
    assert problems_of(built(key, value), context=only) == []
    assert problems_of(built(key, value), context=CONTEXT._replace(local=True)) == []


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("build_args: {BUILDKIT_SYNTAX: evil/frontend}", "args"),
        ("build_args: [BUILDKIT_SYNTAX=evil/frontend]", "args"),
        ("cache_from: 'type=gha'", "cache_from"),
        ("cache_to: 'type=s3\\,bucket=b'", "cache_to"),
    ],
)
def test_a_build_plugin_needs_the_trust_of_the_build_that_it_becomes(setting: str, key: str) -> None:
    problems = problems_of(PLUGIN.format(setting=setting))
    assert len(problems) == 1
    assert f"'{key}' in step 'app' needs trust" in problems[0]


def test_an_untrusted_run_is_told_why_it_may_not() -> None:
    (problem,) = problems_of(built("network", "host"), context=UNTRUSTED)
    assert "which this run does not have: it comes from a fork" in problem
    (problem,) = problems_of("steps: [{image: a, commands: [b], privileged: true}]", context=UNTRUSTED)
    assert "it comes from a fork" in problem


PUSHES = """
steps:
  - {name: app, build: .}
  - {name: ship, push: {repo: r.test/app, tags: [latest]}}
  - {name: test, commands: [ls]}
"""


def test_an_untrusted_run_pushes_nothing() -> None:
    assert names_of(PUSHES) == ["app", "ship", "test"]
    plan = plan_of(PUSHES, context=UNTRUSTED)
    assert [step.name for step in plan.jobs[0].steps] == ["app", "test"]
    assert [left.why for left in plan.left_out] == ["this run is untrusted and pushes nothing: it comes from a fork"]


def test_nor_does_one_without_a_pipeline_file() -> None:
    context = UNTRUSTED._replace(push_repo="r.test/app")
    trusted = dockerfile_plan(context._replace(untrusted=""), event("manual"))
    assert [step.kind for step in trusted.jobs[0].steps] == ["build", "push"]
    plan = dockerfile_plan(context, event("manual"))
    assert [step.kind for step in plan.jobs[0].steps] == ["build"]
    assert WHY in plan.left_out[0].why


def test_a_trusted_repository_may_use_them_all() -> None:
    step = step_of(built("network", "host"), context=TRUSTED)
    assert isinstance(step, BuildStep)
    assert step.network == "host"
