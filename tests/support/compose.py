"""Builders for tests of Compose steps: a pipeline file and its Compose file, compiled together."""

from collections.abc import Mapping
from textwrap import dedent

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import Context, PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import Fragment
from pipelines.plan import JobPlan, Plan, PluginStep
from pipelines.problem import InvalidPipelineError
from tests.support.pipelines import TRUSTED, push

FILE = "ci/compose.yml"
STEP = f"steps:\n  - {{name: it, compose: {FILE}}}\n"
ONE = "services:\n  tests: {image: 'busybox:1'}\n"


def compose_plan(
    compose: str | bytes,
    main: str = STEP,
    context: Context = TRUSTED,
    others: Mapping[str, str] | None = None,
    read: Mapping[Address, Fragment] | None = None,
) -> Plan:
    """The plan of a pipeline file with a Compose file; ``others`` are further files that it reads, by their texts."""
    texts = {FILE: dedent(compose) if isinstance(compose, str) else compose, **(others or {})}
    files = {Address(path): Fragment(text.encode() if isinstance(text, str) else text) for path, text in texts.items()}
    return compile_pipeline([PipelineFile(".headway.yml", main.encode())], push(), context, {**files, **(read or {})})


def compose_job(compose: str | bytes, main: str = STEP, context: Context = TRUSTED) -> JobPlan:
    """The only job of it."""
    (job,) = compose_plan(compose, main, context).jobs
    return job


def compose_problems(compose: str | bytes, main: str = STEP, context: Context = TRUSTED) -> list[str]:
    """Its problems as lines, without where the file is included."""
    try:
        found = compose_plan(compose, main, context).warnings
    except InvalidPipelineError as error:
        found = error.problems
    return [str(each) for each in found]


def compose_service(keys: str, rest: str = "", main: str = STEP) -> PluginStep:
    """The step of a service ``tests`` with these keys, a flow map without its braces."""
    step = compose_job(f"services:\n  tests: {{image: 'busybox:1', {keys}}}\n{rest}", main).steps[-1]
    assert isinstance(step, PluginStep)
    return step


def service_problem(keys: str, rest: str = "", main: str = STEP) -> str:
    """The only problem of such a service."""
    (problem,) = compose_problems(f"services:\n  tests: {{image: 'busybox:1', {keys}}}\n{rest}", main)
    return problem


def compose_hints(compose: str) -> list[str]:
    """What ``headway lint`` says of it."""
    files = [PipelineFile(".headway.yml", STEP.encode())]
    return [str(each) for each in lint_files(files, fragments={Address(FILE): Fragment(compose.encode())})]
