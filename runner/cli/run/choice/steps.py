"""Which steps ``headway run`` runs: with ``--step`` those and what they need, with ``--from`` those that follow."""

from collections.abc import Collection, Iterable, Sequence

from pipelines.plan import BuildStep, JobPlan, Plan
from pipelines.state import Reason
from pipelines.step_order import ancestors
from runner.cli.run.choice.jobs import nothing_named, only_jobs
from runner.errors import StepError


def started_from(plan: Plan, first: str) -> Plan:
    """The plan with the steps called ``first``, the steps and workflows that come after them, and no others.

    Builds before them run too: their images exist nowhere else. Raises StepError where no step has this name.
    """
    _check(plan, (first,))
    jobs = {job.number: _from(job, first) for job in plan.jobs if _numbers(job, (first,))}
    names = {job.name for job in jobs.values()}
    after = _following(plan.jobs, names)
    kept = [jobs.get(job.number) or job for job in plan.jobs if job.number in jobs or job.name in after]
    return only_jobs(plan, kept)


def with_steps(plan: Plan, steps: Sequence[str], *, alone: bool) -> Plan:
    """The plan with the steps of these names, and all steps and workflows that they need.

    With ``alone`` no other workflows. Raises StepError where a name is unknown.
    """
    _check(plan, steps)
    jobs = {job.number: _up_to(job, steps) for job in plan.jobs if _numbers(job, steps)}
    needed = set[str]() if alone else _needed(plan.jobs, {job.name for job in jobs.values()})
    kept = [jobs.get(job.number) or job for job in plan.jobs if job.number in jobs or job.name in needed]
    return only_jobs(plan, kept)


def _check(plan: Plan, names: Iterable[str]) -> None:
    known = dict.fromkeys(step.name for job in plan.jobs for step in job.steps)
    if unknown := next((name for name in names if name not in known), None):
        raise nothing_named(plan, "step", unknown, known, known)


def _numbers(job: JobPlan, names: Sequence[str]) -> set[int]:
    return {step.number for step in job.steps if step.name in names}


def _from(job: JobPlan, first: str) -> JobPlan:
    before = ancestors({step.number: step.needs for step in job.steps})
    begins = _numbers(job, (first,))
    kept = {step.number for step in job.steps if step.number in begins or begins & before[step.number]}
    cut = set().union(*(before[number] for number in kept)) - kept
    builds = {step.number for step in job.steps if step.number in cut and isinstance(step, BuildStep)}
    if cut - builds and job.checkout is None:
        message = f"steps of workflow {job.name!r} make its checkout, and --from would leave them out"
        raise StepError(Reason.INVALID_PIPELINE, f"{message}; use --step, which runs what a step needs")
    return _only(job, kept | builds)


def _up_to(job: JobPlan, names: Sequence[str]) -> JobPlan:
    before = ancestors({step.number: step.needs for step in job.steps})
    wanted = _numbers(job, names)
    return _only(job, wanted.union(*(before[number] for number in wanted)))


def _only(job: JobPlan, kept: Collection[int]) -> JobPlan:
    """The job with these steps: each after those of them that were before it. Without services in images of others."""
    before = ancestors({step.number: step.needs for step in job.steps})
    steps = []
    for step in job.steps:
        if step.number in kept:
            after = before[step.number] & set(kept)
            nearest = after.difference(*(before[number] for number in after))
            steps.append(step.model_copy(update={"needs": tuple(sorted(nearest))}))
    services = tuple(service for service in job.services if not service.build or service.build in kept)
    return job.model_copy(update={"steps": tuple(steps), "services": services})


def _needed(jobs: Sequence[JobPlan], names: set[str]) -> set[str]:
    """The workflows that these need, directly or not, without these."""
    found = set(names)
    while more := {need for job in jobs if job.name in found for need in job.needs} - found:
        found |= more
    return found - names


def _following(jobs: Sequence[JobPlan], names: set[str]) -> set[str]:
    """The workflows that need these, directly or not, without these."""
    found = set(names)
    while more := {job.name for job in jobs if found.intersection(job.needs)} - found:
        found |= more
    return found - names
