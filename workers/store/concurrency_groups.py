"""The concurrency groups of a run that is being planned: which job is in which, and what that ends at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from pipelines.plan import JobPlan, Plan
from workers.db.models import Job, Run
from workers.store.concurrency_turns import has_room
from workers.store.superseding import newer_runs, supersede_jobs


@dataclass(frozen=True)
class Groups:
    """The groups of the (locked) run's jobs: ``keys`` by the numbers of jobs.

    ``newer_runs`` are those of which a newer run has a job already, and which run; ``ended`` are the older runs whose
    workers are to hear that a job is to stop.
    """

    run: Run
    keys: Mapping[int, str]
    newer_runs: Mapping[str, str]
    ended: list[int]

    def may_begin(self, session: Session, plan: JobPlan, ready: Sequence[JobPlan]) -> bool:
        """True where the job's group has room, and none of its own run that is ready has the earlier turn."""
        key = self.keys.get(plan.number)
        if key is None or plan.concurrency is None:
            return True
        first = next(each for each in ready if self.keys.get(each.number) == key)
        free = first is plan and key not in self.newer_runs
        return free and has_room(session, key, plan.concurrency.limit, self.run)

    def enter(self, job: Job, plan: JobPlan) -> None:
        """Notes the job's group in its row."""
        key = self.keys.get(plan.number)
        if key and plan.concurrency:
            job.group_key, job.group_limit = key, plan.concurrency.limit
            job.group_name, job.cancel_by = plan.concurrency.group or plan.name, self.newer_runs.get(key, "")


def groups_of(session: Session, run: Run, plan: Plan, scope: str) -> Groups:
    """The groups of the plan. Older runs' jobs that are to end for this one are asked to, or ended."""
    keys = {each.number: _key(run.repo_id, scope, each) for each in plan.jobs if each.concurrency}
    newest = {keys[each.number] for each in plan.jobs if each.concurrency and each.concurrency.cancel}
    later = newer_runs(session, run, newest)
    return Groups(run, keys, later, [older.id for older in supersede_jobs(session, run, newest)])


def _key(repo_id: int, scope: str, plan: JobPlan) -> str:
    """A group belongs to its repository and to the scope of its run; without a name it is the workflow's."""
    named = plan.concurrency.group if plan.concurrency else ""
    kind, name = ("group", named) if named else ("workflow", plan.name)
    return f"{repo_id}:{scope}:{kind}:{name}"
