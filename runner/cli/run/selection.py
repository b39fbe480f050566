"""Which jobs of a plan ``headway run`` runs, where its options name some."""

from collections.abc import Sequence

from pipelines.plan import JobPlan, Plan
from pipelines.state import Reason
from runner.errors import StepError


def selected(plan: Plan, workflows: Sequence[str], cells: Sequence[str]) -> Plan:
    """The plan with the jobs of these workflows and of combinations with these NAME=VALUE alone; without any, of all.

    Nothing waits for, or takes artifacts of, a workflow that is not among them. Raises StepError where no job is left.
    """
    if not workflows and not cells:
        return plan
    wanted = [_pair(text) for text in cells]
    known = {job.name for job in plan.jobs}
    if unknown := next((name for name in workflows if name not in known), None):
        raise _nothing(plan, f"no workflow {unknown!r} runs here")
    jobs = [job for job in plan.jobs if not workflows or job.name in workflows]
    jobs = [job for job in jobs if all(job.cell.get(name) == value for name, value in wanted)]
    if not jobs:
        raise _nothing(plan, f"no job has {', '.join(cells)} in its matrix")
    names = {job.name for job in jobs}
    return plan.model_copy(update={"jobs": tuple(_without(job, names) for job in jobs)})


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise StepError(Reason.INVALID_PIPELINE, f"the combination {text!r} is not NAME=VALUE")
    return name, value


def _nothing(plan: Plan, text: str) -> StepError:
    jobs = ", ".join(repr(job.title) for job in plan.jobs) or "none"
    return StepError(Reason.INVALID_PIPELINE, f"{text}; the jobs are: {jobs}")


def _without(job: JobPlan, names: set[str]) -> JobPlan:
    """The job without what it needs of workflows that do not run."""
    kept = {key: tuple(name for name in getattr(job, key) if name in names) for key in ("needs", "restored_from")}
    return job.model_copy(update=kept)
