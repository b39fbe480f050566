"""The jobs of a run as its page lists them: one below the other, and the cells of a matrix as one group."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipelines.state import State, verdict
from web.operations.verdicts.planned import planned_steps
from workers.db.models import Job, Step

_FIRST_SHOWN = (State.FAILED, State.BROKEN, State.RUNNING)


@dataclass(frozen=True)
class ListedJob:
    """A job with its steps. ``detached`` are the ids of steps that run beside the others.

    ``link`` is the step that a link to the whole job opens; None before it has steps.
    """

    job: Job
    steps: Sequence[Step]
    detached: frozenset[int]
    link: Step | None
    shown: bool


@dataclass(frozen=True)
class JobGroup:
    """A job, or the cells of one workflow's matrix."""

    jobs: Sequence[ListedJob]

    @property
    def is_matrix(self) -> bool:
        """True where these are cells that the page shows as a grid."""
        return len(self.jobs) > 1

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self.jobs[0].job.name

    @property
    def passed(self) -> int:
        """How many cells have passed."""
        return sum(each.job.state is State.PASSED for each in self.jobs)

    @property
    def state(self) -> State:
        """The state of all cells as one."""
        states = [each.job.state for each in self.jobs]
        going_on = [state for state in (State.RUNNING, State.QUEUED) if state in states]
        return going_on[0] if going_on else verdict(states)

    @property
    def open(self) -> ListedJob | None:
        """The cell whose steps are listed below the grid."""
        return next((each for each in self.jobs if each.shown), None)


def job_list(
    jobs: Sequence[tuple[Job, list[Step]]], ignored: Collection[int], chosen: Step | None
) -> list[JobGroup]:  # fmt: skip
    """The groups in the order of the jobs. Cells of one workflow are neighbours there."""
    listed = [_listed(job, steps, ignored, chosen) for job, steps in jobs]
    return [JobGroup(list(group)) for _, group in groupby(listed, lambda each: (each.job.name, bool(each.job.cell)))]


def _listed(job: Job, steps: Sequence[Step], ignored: Collection[int], chosen: Step | None) -> ListedJob:
    planned = planned_steps(job)
    detached = frozenset(step.id for step in steps if step.number in planned and planned[step.number].detached)
    return ListedJob(job, steps, detached, _link(steps, ignored), bool(chosen and chosen.job_id == job.id))


def _link(steps: Sequence[Step], ignored: Collection[int]) -> Step | None:
    counted = [step for step in steps if step.id not in ignored]
    return next((step for state in _FIRST_SHOWN for step in counted if step.state is state), next(iter(steps), None))
