"""Failed steps of which the pipeline file says that their failure does not count."""

from collections.abc import Iterable, Sequence

from pipelines.state import Reason, State
from web.operations.verdicts.planned import planned_steps
from workers.db.models import Job, Step

_BAD = frozenset({State.FAILED, State.BROKEN})


def ignored_steps(jobs: Iterable[tuple[Job, Sequence[Step]]]) -> frozenset[int]:
    """The ids of the steps that failed, and that their jobs did not fail of, or will not."""
    return frozenset(step.id for job, steps in jobs for step in _ignored(job, steps))


def _ignored(job: Job, steps: Sequence[Step]) -> list[Step]:
    bad = [step for step in steps if step.state in _BAD]
    if not bad or job.state is State.PASSED:
        return bad
    planned = planned_steps(job)
    return [
        step
        for step in bad
        if step.number in planned and planned[step.number].ignored and step.reason is not Reason.DISK_FULL
    ]
