"""Refuses what a job may not use of the host, whatever its plan says.

The compiler reports the same keys with their places in the file. This is for plans that are older than the decision,
and for what is known only when the step runs.
"""

from collections.abc import Iterable, Iterator

from pipelines.context import Trust
from pipelines.host_options import build_keys, container_keys, foreign_frontend, kinds_of_cache
from pipelines.plan import BuildStep, JobPlan, PushStep, Step
from pipelines.state import Reason
from runner.errors import StepError
from runner.execution.job import Job
from runner.logs.output import Output


def check_plan(plan: JobPlan, trust: Trust) -> None:
    """Raises StepError if a step or service needs trust that the job does not have. Nothing was started by then."""
    for label, keys in _keys_of(plan):
        for key, needed in keys:
            if not getattr(trust, needed):
                raise _refusal(f"'{key}' in {label}", needed)


def _keys_of(plan: JobPlan) -> Iterator[tuple[str, Iterable[tuple[str, str]]]]:
    for service in plan.services:
        yield f"service '{service.name}'", container_keys(service.container)
    for step in plan.steps:
        yield f"step '{step.name}'", _keys_of_step(step)


def _keys_of_step(step: Step) -> Iterable[tuple[str, str]]:
    if isinstance(step, BuildStep):
        return build_keys(step)
    return () if isinstance(step, PushStep) else container_keys(step.container)


def check_dockerfile(text: str, trust: Trust) -> None:
    """Raises StepError if a Dockerfile loads a foreign frontend: it could reach the caches of other repositories."""
    frontend = foreign_frontend(text)
    if frontend and not trust.security:
        raise _refusal(f"the syntax line of the Dockerfile ({frontend})", "security")


def _refusal(what: str, trust: str) -> StepError:
    hint = "an administrator can give it to the repository; no repository has it for untrusted commits"
    return StepError(Reason.INVALID_PIPELINE, f"{what} needs trust in '{trust}', which this run does not have; {hint}")


def own_caches_only(job: Job, step: BuildStep, output: Output) -> BuildStep:
    """The build step without the caches that it may not write. One inside the image is its own."""
    if job.assignment.access.shared_caches:
        return step
    kept = tuple(entry for entry in step.cache_to if kinds_of_cache(entry) == {"inline"})
    if kept != step.cache_to:
        output.note(f"writes no shared cache: this run is untrusted ({job.assignment.access.untrusted})")
    return step.model_copy(update={"cache_to": kept})
