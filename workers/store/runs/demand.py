"""How many workers would be busy now, by the labels that their jobs ask for: what starts and stops machines asks."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.state import State
from workers.db.models import Job
from workers.store.runs.metrics import jobs_for_workers

RUNNING_JOBS_MAX = 10_000
"""Running jobs that are counted."""


@dataclass(frozen=True)
class Demand:
    """Jobs that ask for these labels: those that wait for nothing but a worker, and those that run."""

    labels: Mapping[str, str]
    queued: int
    running: int
    oldest_s: float

    @property
    def slots(self) -> int:
        """So many slots of workers would be busy now."""
        return self.queued + self.running


def demand(session: Session) -> list[Demand]:
    """What is asked of workers now, the most first."""
    labels = session.scalars(select(Job.labels).where(Job.state == State.RUNNING).limit(RUNNING_JOBS_MAX))
    running = Counter(_key({name: value for name, value in each.items() if value}) for each in labels)
    waiting = {_key(each.labels): each for each in jobs_for_workers(session)}
    found = []
    for key in running.keys() | waiting.keys():
        jobs = waiting.get(key)
        found.append(Demand(json.loads(key), jobs.jobs if jobs else 0, running[key], jobs.oldest_s if jobs else 0.0))
    return sorted(found, key=lambda each: (-each.slots, _key(each.labels)))


def _key(labels: Mapping[str, str]) -> str:
    return json.dumps(labels, sort_keys=True)
