"""Builders for the tests of the pipeline language: triggers, and plans compiled from text."""

from collections.abc import Mapping
from textwrap import dedent
from typing import Any, TypeVar

from pipelines import plan
from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import FULL_TRUST, Context, PipelineFile, RepoInfo
from pipelines.plan import JobPlan, Plan
from pipelines.problem import InvalidPipelineError
from pipelines.trigger import Event, PullRequest, Trigger

SHA = "0123456789abcdef0123456789abcdef01234567"
CONTEXT = Context(RepoInfo("me/app", "https://git.example.org/me/app.git"), run_number=7)
TRUSTED = Context(RepoInfo("me/app", "https://git.example.org/me/app.git", trust=FULL_TRUST))

Kind = TypeVar("Kind")


def push(branch: str = "main", **more: Any) -> Trigger:
    return Trigger(event=Event.PUSH, sha=SHA, ref=f"refs/heads/{branch}", branch=branch, **more)


def tag(name: str = "v1.2.3", **more: Any) -> Trigger:
    return Trigger(event=Event.TAG, sha=SHA, ref=f"refs/tags/{name}", tag=name, **more)


def pull_request(target: str = "main", source: str = "topic", **more: Any) -> Trigger:
    pull = PullRequest(number=12, source_branch=source, target_branch=target, labels=("bug", "ci"))
    return Trigger(event=Event.PULL_REQUEST, sha=SHA, ref="refs/pull/12/head", branch=target, pull_request=pull, **more)


def event(name: str, **more: Any) -> Trigger:
    return Trigger(event=Event(name), sha=SHA, ref="refs/heads/main", branch="main", **more)


def plan_of(
    text: str | bytes, trigger: Trigger | None = None, context: Context = CONTEXT, path: str = ".headway.yml"
) -> Plan:
    return compile_pipeline([PipelineFile(path, _bytes(text))], trigger or push(), context)


def plan_of_files(files: Mapping[str, str], trigger: Trigger | None = None, context: Context = CONTEXT) -> Plan:
    return compile_pipeline(
        [PipelineFile(path, _bytes(text)) for path, text in files.items()], trigger or push(), context
    )


def job_of(
    text: str, trigger: Trigger | None = None, context: Context = CONTEXT, path: str = ".headway.yml"
) -> JobPlan:
    (job,) = plan_of(text, trigger, context, path).jobs
    return job


def step_of(
    text: str, trigger: Trigger | None = None, context: Context = CONTEXT, path: str = ".headway.yml"
) -> plan.Step:
    (step,) = job_of(text, trigger, context, path).steps
    return step


def of_kind(kind: type[Kind], value: object) -> Kind:
    """The value, which must be of this kind: one of a union."""
    assert isinstance(value, kind)
    return value


def container_of(step: plan.Step) -> plan.Container:
    """The container of a step with commands or of a plugin."""
    assert isinstance(step, plan.CommandsStep | plan.PluginStep)
    return step.container


def commands_of(step: plan.Step) -> tuple[str, ...]:
    """The commands of a step that has some."""
    return of_kind(plan.CommandsStep, step).commands


def names_of(text: str, trigger: Trigger | None = None, context: Context = CONTEXT) -> list[str]:
    return [step.name for step in job_of(text, trigger, context).steps]


def problems_of(
    text: str | bytes, trigger: Trigger | None = None, context: Context = CONTEXT, path: str = ".headway.yml"
) -> list[str]:
    """The problems as people see them, without the file's name."""
    try:
        found = plan_of(text, trigger, context, path).warnings
    except InvalidPipelineError as error:
        found = error.problems
    return [str(problem).removeprefix(f"{path}:") for problem in found]


def value_of(container: plan.Container, name: str, secrets: Mapping[str, str] | None = None) -> str:
    return plan.resolve(container.environment[name], secrets or {})


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()
