"""The order in which the jobs of a run are shown, and the names of their steps in addresses."""

from collections import Counter
from collections.abc import Sequence
from functools import cache

from web.operations.runs.log_parts import slug_of
from workers.db.models import Job, Step


def in_dependency_order(jobs: list[tuple[Job, list[Step]]]) -> list[tuple[Job, list[Step]]]:
    """Each job after the jobs that it needs; otherwise in the order of their numbers."""
    needs = {job.name: job.needs for job, _ in jobs}

    @cache
    def depth(name: str) -> int:
        return 1 + max(map(depth, needs.get(name, ())), default=0)

    return sorted(jobs, key=lambda each: depth(each[0].name))


def step_slugs(jobs: Sequence[tuple[Job, Sequence[Step]]]) -> dict[int, str]:
    """The name of each step in addresses of its log's lines, by the step's id: unique in the run, and always the same.

    Where the run has several jobs the job's number follows, and where steps share a name, their own number.
    """
    slugs = {}
    for job, steps in jobs:
        names = {step.id: slug_of(step.name) or "step" for step in steps}
        often = Counter(names.values())
        for step in steps:
            name = names[step.id]
            numbers = [job.number] * (len(jobs) > 1) + [step.number] * (often[name] > 1 or name[-1].isdigit())
            slugs[step.id] = ".".join([name, *map(str, numbers)])
    return slugs
