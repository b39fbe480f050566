"""Failed steps of which the pipeline file says that their failure does not count."""

import json
from collections.abc import Iterable, Sequence

from pipelines.state import State
from workers.db.models import Job, Step

_BAD = frozenset({State.FAILED, State.BROKEN})


def ignored_steps(jobs: Iterable[tuple[Job, Sequence[Step]]]) -> frozenset[int]:
    """The ids of the steps that failed, and that their jobs did not fail of. For jobs that have ended."""
    return frozenset(step.id for job, steps in jobs if job.state.final for step in _ignored(job, steps))


def _ignored(job: Job, steps: Sequence[Step]) -> list[Step]:
    bad = [step for step in steps if step.state in _BAD]
    if job.state not in _BAD:
        return bad if job.state is State.PASSED else []
    if len(bad) < 2 or not job.plan:  # noqa: PLR2004 - it failed of one of them, so that of a single one nothing is asked
        return []
    planned = json.loads(job.plan)["steps"]
    numbers = {step["number"] for step in planned if step.get("failure") == "ignore"}
    return [step for step in bad if step.number in numbers]
