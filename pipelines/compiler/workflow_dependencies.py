"""Workflows that depend on each other: those that are missing, that do not run, or that wait for each other."""

from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter

from pipelines.compiler.job_input import JobInput
from pipelines.parser.validation import LocatedWorkflow
from pipelines.plan import JobPlan, LeftOut
from pipelines.problem import Problem
from pipelines.syntax.diagnostics import did_you_mean


def check_needs(name: str, located: LocatedWorkflow, names: Collection[str]) -> None:
    """Reports workflows that this one depends on and that do not exist. ``names`` are all that exist."""
    for index, dependency in enumerate(located.workflow.depends_on):
        place = located.place("depends_on", index)
        if dependency.name == name:
            located.diagnostics.error(place, f"workflow '{name}' depends on itself", "remove it from depends_on")
        elif dependency.name not in names and not dependency.optional:
            message = f"workflow '{name}' depends on '{dependency.name}', which does not exist, so it never runs"
            near = did_you_mean(dependency.name, (other for other in names if other != name))
            remedy = f"if it may be missing, write {{name: {dependency.name}, optional: true}}"
            located.diagnostics.warning(place, message, near or remedy)


def check_waits_for_one(job: JobInput) -> None:
    """Warns of a workflow that runs only after a failure and depends on no other."""
    if job.workflow.depends_on:
        return
    message = "this workflow runs only after a failure and depends on no other, so it never runs"
    place = job.located.key_place("runs_on" if job.workflow.runs_on else "when")
    job.diagnostics.warning(place, message, "name what it waits for: depends_on: [WORKFLOW]")


def drop_unreachable(jobs: list[JobPlan], optional: set[tuple[str, str]]) -> tuple[list[JobPlan], list[LeftOut]]:
    """Leaves out jobs that need a workflow which does not run, until no job does. Drops missing optional needs.

    Leaves out, too, those that run only after a failure and need no workflow that runs.
    """
    dropped: dict[LeftOut, None] = {}
    while True:
        running = {job.name for job in jobs}
        stuck = {job.name: why for job in jobs if (why := _why_stuck(job, running, optional))}
        if not stuck:
            break
        dropped |= {LeftOut(what=f"workflow '{name}'", why=why): None for name, why in stuck.items()}
        jobs = [job for job in jobs if job.name not in stuck]
    return [_without_missing(job, running) for job in jobs], list(dropped)


def _why_stuck(job: JobPlan, running: set[str], optional: set[tuple[str, str]]) -> str:
    missing = [need for need in job.needs if need not in running]
    if needed := next((need for need in missing if (job.name, need) not in optional), ""):
        return f"it depends on workflow '{needed}', which does not run"
    if not job.on_success and len(missing) == len(job.needs):
        return "it runs only after a failure, and depends on no workflow that runs"
    return ""


def _without_missing(job: JobPlan, running: set[str]) -> JobPlan:
    kept = {"needs": job.needs, "restored_from": job.restored_from}
    return job.model_copy(update={key: tuple(need for need in names if need in running) for key, names in kept.items()})


def find_cycle(jobs: list[JobPlan]) -> Problem | None:
    """The problem if workflows depend on each other in a cycle."""
    try:
        # A workflow that depends on itself was reported before.
        TopologicalSorter({job.name: set(job.needs) - {job.name} for job in jobs}).prepare()
    except CycleError as error:
        names: list[str] = error.args[1][::-1]
        chain = " -> ".join(f"'{name}'" for name in names)
        file = next(job.file for job in jobs if job.name == names[0])
        return Problem(file, 1, 1, f"these workflows wait for each other: {chain}", "remove one of these depends_on")
    return None
