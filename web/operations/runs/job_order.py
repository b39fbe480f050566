"""The order in which the jobs of a run are shown."""

from functools import cache

from workers.db.models import Job, Step


def in_dependency_order(jobs: list[tuple[Job, list[Step]]]) -> list[tuple[Job, list[Step]]]:
    """Each job after the jobs that it needs; otherwise in the order of their numbers."""
    needs = {job.name: job.needs for job, _ in jobs}

    @cache
    def depth(name: str) -> int:
        return 1 + max(map(depth, needs.get(name, ())), default=0)

    return sorted(jobs, key=lambda each: depth(each[0].name))
