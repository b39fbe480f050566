"""What a job's plan says of its steps that their rows do not: what they need, and how their failure counts."""

import json
from dataclasses import dataclass

from workers.db.models import Job


@dataclass(frozen=True)
class PlannedStep:
    """``needs`` are numbers of steps of the job. ``ignored``: the job does not fail if it fails."""

    needs: tuple[int, ...]
    ignored: bool
    detached: bool


def planned_steps(job: Job) -> dict[int, PlannedStep]:
    """The steps of a job by number; none before it is planned."""
    if not job.plan:
        return {}
    return {
        int(step["number"]): PlannedStep(
            tuple(step.get("needs") or ()), step.get("failure") == "ignore", bool(step.get("detach"))
        )
        for step in json.loads(job.plan)["steps"]
    }


def commands_of(job: Job, number: int) -> list[str]:
    """The commands of the step with this number; none of another kind of step, or before the job is planned."""
    steps = json.loads(job.plan)["steps"] if job.plan else []
    return next((list(step.get("commands") or ()) for step in steps if step["number"] == number), [])
