"""Concurrency groups while a run is planned: which job is in which group, and which older jobs that cancels."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from pipelines.plan import Concurrency, JobPlan, Plan
from workers.db.models import Job, Run
from workers.store.jobs.concurrency_turns import LIMIT_MAX, has_room
from workers.store.runs.superseding import Superseded, newer_runs, supersede_jobs

_NAME_CHARS_MAX = 200
"""Of longer names the hash stands in the key, which is part of an index: PostgreSQL refuses keys of some kilobytes."""


@dataclass(frozen=True)
class Groups:
    """The groups of the (locked) run's jobs: ``keys`` by job number.

    ``newer_runs`` has the groups in which a newer run has a job already, and that run. ``superseded`` are the older
    runs whose jobs were canceled.
    """

    run: Run
    keys: Mapping[int, str]
    newer_runs: Mapping[str, str]
    superseded: Superseded

    def may_begin(self, session: Session, plan: JobPlan, ready: Sequence[JobPlan]) -> bool:
        """True where the job's group has room, and no other ready job of this run has an earlier turn in it."""
        key = self.keys.get(plan.number)
        if key is None or plan.concurrency is None:
            return True
        first = next(each for each in ready if self.keys.get(each.number) == key)
        free = first is plan and key not in self.newer_runs
        return free and has_room(session, key, _limit(plan.concurrency), self.run)

    def enter(self, job: Job, plan: JobPlan) -> None:
        """Writes the job's group into its row."""
        key = self.keys.get(plan.number)
        if key and plan.concurrency:
            job.group_key, job.group_limit = key, _limit(plan.concurrency)
            job.group_name, job.cancel_by = plan.concurrency.group or plan.name, self.newer_runs.get(key, "")


def groups_of(session: Session, run: Run, plan: Plan, scope: str) -> Groups:
    """The groups of the plan. Cancels the jobs of older runs in groups where the newest run cancels others."""
    keys = {each.number: _key(run.repo_id, scope, each) for each in plan.jobs if each.concurrency}
    newest = {keys[each.number] for each in plan.jobs if each.concurrency and each.concurrency.cancel}
    later = newer_runs(session, run, newest)
    return Groups(run, keys, later, supersede_jobs(session, run, newest))


def _limit(asked: Concurrency) -> int:
    return min(asked.limit, LIMIT_MAX)


def _key(repo_id: int, scope: str, plan: JobPlan) -> str:
    """A group belongs to its repository and to the scope of its run; without a name it is the workflow's."""
    named = plan.concurrency.group if plan.concurrency else ""
    kind, name = ("group", named) if named else ("workflow", plan.name)
    if len(name) > _NAME_CHARS_MAX:
        name = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
    return f"{repo_id}:{scope}:{kind}:{name}"
