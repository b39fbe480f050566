"""Short ways to make what the tests of the pipeline language need."""

from textwrap import dedent

from pipelines import plan
from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import Context, PipelineFile, RepoInfo, Trust
from pipelines.plan import JobPlan, Plan
from pipelines.problem import InvalidPipelineError
from pipelines.trigger import Event, PullRequest, Trigger

SHA = "0123456789abcdef0123456789abcdef01234567"
CONTEXT = Context(RepoInfo("me/app", "https://git.example.org/me/app.git"), run_number=7)
TRUSTED = Context(RepoInfo("me/app", "https://git.example.org/me/app.git", trust=Trust(True, True, True)))


def push(branch="main", **more):
    return Trigger(event=Event.PUSH, sha=SHA, ref=f"refs/heads/{branch}", branch=branch, **more)


def tag(name="v1.2.3", **more):
    return Trigger(event=Event.TAG, sha=SHA, ref=f"refs/tags/{name}", tag=name, **more)


def pull_request(target="main", source="topic", **more):
    pull = PullRequest(number=12, source_branch=source, target_branch=target, labels=("bug", "ci"))
    return Trigger(event=Event.PULL_REQUEST, sha=SHA, ref="refs/pull/12/head", branch=target, pull_request=pull, **more)


def event(name, **more):
    return Trigger(event=Event(name), sha=SHA, ref="refs/heads/main", branch="main", **more)


def plan_of(text, trigger=None, context=CONTEXT, path=".headway.yml") -> Plan:
    return compile_pipeline([PipelineFile(path, _bytes(text))], trigger or push(), context)


def plan_of_files(files, trigger=None, context=CONTEXT) -> Plan:
    return compile_pipeline(
        [PipelineFile(path, _bytes(text)) for path, text in files.items()], trigger or push(), context
    )


def job_of(text, trigger=None, context=CONTEXT, path=".headway.yml") -> JobPlan:
    (job,) = plan_of(text, trigger, context, path).jobs
    return job


def step_of(text, trigger=None, context=CONTEXT, path=".headway.yml"):
    (step,) = job_of(text, trigger, context, path).steps
    return step


def names_of(text, trigger=None, context=CONTEXT) -> list[str]:
    return [step.name for step in job_of(text, trigger, context).steps]


def problems_of(text, trigger=None, context=CONTEXT, path=".headway.yml") -> list[str]:
    """The problems as people see them, without the file's name."""
    try:
        found = plan_of(text, trigger, context, path).warnings
    except InvalidPipelineError as error:
        found = error.problems
    return [str(problem).removeprefix(f"{path}:") for problem in found]


def value_of(container: plan.Container, name: str, secrets=None) -> str:
    return plan.resolve(container.environment[name], secrets or {})


def _bytes(text) -> bytes:
    return text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()
